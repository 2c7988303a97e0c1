"""Fixtures shared by the suite: small experiments, and one Ray for all tests that need one."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from sim.actors import ray_session
from sim.compose import experiment
from sim.config import Experiment

settings.register_profile("fedtrial", deadline=None)  # time is the machine's, not the code's
settings.load_profile("fedtrial")

SMALL = ["cohort.patients=600", "cohort.sites=7", "rounds=3", "local.batch=16", "local.chunk=2", "seed=1"]


@pytest.fixture
def small() -> Experiment:
    """Seven centres, three rounds, chunks of two sites."""
    return experiment(SMALL)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for the whole session, with room for three actors."""
    with ray_session(3):
        yield
