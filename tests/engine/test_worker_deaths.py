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
