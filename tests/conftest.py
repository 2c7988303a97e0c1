"""Fixtures shared by the suite: small experiments, and one Ray for all tests that need one."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.processes import ray_session
from tests.toy import SMALL

settings.register_profile("fedtrial", deadline=None)  # time is the machine's, not the code's
settings.load_profile("fedtrial")


@pytest.fixture
def small() -> Experiment:
    """Seven centres, three rounds, chunks of two sites."""
    return experiment(SMALL)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for the whole session, with room for three actors."""
    with ray_session(3):
        yield
