"""Base class of methods whose model consists of trees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused
from sim.engine.loops import OwnLoop
from sim.engine.simulation import Simulation
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.tasks.task import Task


@dataclass
class Trees(OwnLoop):
    """A method whose model is trees, grown in exchanges that all sites answer."""

    trains = False
    axes: ClassVar[frozenset[str]] = frozenset({"system"})  # its links and latency

    def roles(self, beside: Roles) -> Roles:
        """Only the clock is used: no parameters are trained."""
        return Roles(system=beside.system, weighting=beside.weighting)

    def scores(self, task: Task, x: NDArray[np.floating], forest: Mapping[str, Floats]) -> Floats:
        """Predictions of the trees that a round has as its `forest`, for standardised rows [N, D]; [N, *scores]."""
        raise NotImplementedError

    def refuse(self, plan: Simulation, name: str) -> None:
        """Refuse a network, which trees do not use, and systems in which not all sites answer."""
        if not plan.task.convex:
            raise Refused(f"algorithm={name} grows trees and uses no network. Set net=linear.")
        system = plan.roles.system
        if not isinstance(system, Sync) or system.uploads(1) > 1 or system.dropout or system.deadline:
            raise Refused(
                f"algorithm={name}: all sites must answer every exchange. Set system=sync with system.sites=0, "
                "system.dropout=0 and system.deadline=0."
            )

    def travel(self, plan: Simulation, bytes_up: int, bytes_down: int) -> float:
        """Simulated seconds of an exchange, given the bytes of the slowest site."""
        return plan.roles.system.exchange_seconds(bytes_up + bytes_down)
