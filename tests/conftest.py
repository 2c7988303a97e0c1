"""Fixtures shared by the suite: small experiments, and one Ray for all tests that need one; which tests are slow."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.processes import ray_session
from tests.toy import SMALL

# Time is the machine's, not the code's, and a test that passed passes again: HYPOTHESIS_PROFILE=search draws others.
settings.register_profile("fedtrial", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fedtrial"))

HERE = Path(__file__).parent
SLOW = {line for line in (HERE / "slow.txt").read_text().splitlines() if line and not line.startswith("#")}


@cache
def shares(path: Path) -> bool:
    """Whether tests of a file share a fixture, which each process would make anew."""
    return 'scope="module"' in path.read_text()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks: who needs Ray, who is slow, and who must run in one process under `-n`."""
    for item in items:
        file = item.path.relative_to(HERE).as_posix()
        if item.get_closest_marker("ray") or "ray_here" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.ray)
            item.add_marker(pytest.mark.xdist_group("ray"))
        elif shares(item.path):
            item.add_marker(pytest.mark.xdist_group(file))
        if {file, f"{file}::{getattr(item, 'originalname', item.name)}"} & SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def small() -> Experiment:
    """Seven centres, three rounds, chunks of two sites."""
    return experiment(SMALL)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for the whole session, with room for three actors."""
    with ray_session(3):
        yield


@pytest.fixture(scope="module")
def warm_actors(ray_here: None) -> Iterator[None]:
    """Actors go from one crew to the next in a file of tests, because starting one takes longer than a small run."""
    from sim.engine.ray_actors import RayCrew

    idle: list[Any] = []
    hire = RayCrew.hire

    def hired(crew: RayCrew, workers: int) -> list[Any]:
        known = [idle.pop() for _ in range(min(workers, len(idle)))]
        return [*known, *(hire(crew, workers - len(known)) if len(known) < workers else [])]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RayCrew, "hire", hired)
        patch.setattr(RayCrew, "dismiss", lambda crew: idle.extend(crew.actors))
        yield
    import ray

    for actor in idle:
        ray.kill(actor)
