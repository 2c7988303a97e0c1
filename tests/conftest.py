"""Fixtures shared by the suite: small experiments, and one Ray for all tests that need one."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from sim.actors import ray_session
from sim.cohort.table import Cohort
from sim.compose import experiment
from sim.config import Experiment
from sim.federation import Federation, build
from sim.split import Split, sides

settings.register_profile("fedtrial", deadline=None)  # time is the machine's, not the code's
settings.load_profile("fedtrial")

SMALL = ["cohort.patients=600", "cohort.sites=7", "rounds=3", "local.batch=16", "local.chunk=2", "seed=1"]


def federated(
    cohort: Cohort, outcome: str, sites: NDArray[np.str_], split: Split, seed: int, external: Sequence[str] = ()
) -> Federation:
    """Federation of a cohort dealt to `sites` (str [R]), without a partition."""
    return build(cohort, outcome, sides(cohort, outcome, sites, split, seed, external), split.scaling)


@pytest.fixture
def small() -> Experiment:
    """Seven centres, three rounds, chunks of two sites."""
    return experiment(SMALL)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for the whole session, with room for three actors."""
    with ray_session(3):
        yield
