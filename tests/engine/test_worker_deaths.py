"""Actors that die whatever is tried."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine import ray_actors
from sim.engine.executors import OnRay
from sim.run.run import rehearse
from tests.toy import SMALL


class Mortal(ray_actors.Actor):
    """Dies as soon as it is given something to do."""

    def open(self, shared: list[Any], folder: Path) -> None:
        os._exit(3)


@pytest.mark.ray
def test_an_actor_that_dies_every_time_ends_the_run_with_the_reason(
    ray_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_actors, "Actor", Mortal)
    with pytest.raises(Refused, match=r"gave up after 3 restarts.*executor\.workers"):
        rehearse(replace(experiment(SMALL), executor=OnRay(workers=2)))


@pytest.mark.ray
def test_actors_that_never_begin_are_not_waited_for_for_ever(ray_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program of the same session holds two of its three CPUs."""
    import ray

    holders = [ray.remote(num_cpus=1)(Mortal).remote() for _ in range(2)]
    ray.get([holder.train.remote(None, []) for holder in holders])
    monkeypatch.setattr(ray_actors, "WAIT", 10.0)
    try:
        with pytest.raises(Refused, match=r"of 3 Ray workers started within 10"):
            rehearse(replace(experiment(SMALL), executor=OnRay(workers=3)))
    finally:
        for holder in holders:
            ray.kill(holder)
