"""Adaptation of the shared model at every site, if the personal role requires it."""

import numpy as np

from sim.engine.executors import Crew
from sim.engine.messages import Broadcast, cut
from sim.engine.simulation import Simulation
from sim.lazy import Tensor
from sim.methods.personal.base import Adapted
from sim.profiling import stage


def adapts(plan: Simulation, last: bool) -> bool:
    """Whether sites adapt before the models of a round (the last or another one) are evaluated."""
    when = plan.roles.personal.adapted
    return when is Adapted.scored or (when is Adapted.last and last)


def adapt(plan: Simulation, crew: Crew, number: int, x: Tensor) -> None:
    """Own models of all members, adapted from the shared model x [P]; batches are those of the next round."""
    members = plan.federation.members
    steps = np.ones(len(plan.federation.sites), dtype=np.int64)
    orders = cut(members, steps, np.ones(len(steps)), plan.work(steps), plan.training.chunk)
    rate = plan.roles.personal.rate or plan.training.rate(max(number, 1))
    with stage("training"):
        crew.train(Broadcast(number + 1, rate, x.numpy(), {}, adapt=True), orders)
    crew.memory.turn(members)
