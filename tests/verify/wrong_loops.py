"""Known wrong implementations of systems with an order of their own and of methods with a loop of their own."""

from dataclasses import replace

import numpy as np

from sim.methods.systems.cyclic import Cyclic
from sim.random import stream
from tests.verify.wrong import wrong

# --- cyclic transfer


@wrong("cyclic")
class NewOrder(Cyclic):
    """Every cycle has an order of its own: FLamby without `deterministic_cycle`."""

    def ticks(self, profile, rounds, losses):
        size = len(profile.members)
        for number, tick in enumerate(super().ticks(profile, rounds, losses)):
            drawn = stream(profile.seed, "cycle", number // size).permutation(profile.members)[[number % size]]
            yield replace(tick, asked=drawn, start=drawn, arrive=drawn, steps=profile.steps[drawn])


@wrong("cyclic")
class ByName(Cyclic):
    """The order of the sites' names, whatever the seed."""

    def order(self, profile):
        return profile.members


@wrong("cyclic")
class SideBySide(Cyclic):
    """A cycle takes as long as its slowest site."""

    def ticks(self, profile, rounds, losses):
        whole = self.travel(profile) + float((self.slowness(profile) * profile.steps)[profile.members].max())
        for number, tick in enumerate(super().ticks(profile, rounds, losses)):
            yield replace(tick, seconds=whole * (number // len(profile.members) + 1))


@wrong("cyclic")
class AllAtOnce(Cyclic):
    """The mean of all sites' work under the name of one: FedAvg."""

    def ticks(self, profile, rounds, losses):
        late = np.zeros(len(profile.members), dtype=np.int64)
        for tick in super().ticks(profile, rounds, losses):
            every = profile.members
            yield replace(tick, asked=every, start=every, arrive=every, steps=profile.steps[every], stale=late)
