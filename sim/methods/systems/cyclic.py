"""Cyclic transfer: one site after the other trains the model and passes it on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import within
from sim.methods.systems.base import Losses, Profile, System, Tick
from sim.random import stream


@dataclass
class Cyclic(System):
    """Cyclic weight transfer: an update is the work of one site, on the model that the site before it left.

    Source: Chang et al., Distributed deep learning networks among institutions for medical imaging, JAMIA 2018.
    Rule: `w_t = w_(t-1) + Delta_k(w_(t-1))`, `k = order[t mod N]`; the order is drawn once per seed and every cycle
    repeats it. An update takes the site's own steps and two messages, so that time adds up over the sites. A site that
    does not answer is passed over: the next one begins on the same model.
    Values: local.epochs=1 in each visit [M]; `rounds` counts visits, so a cycle is as many rounds as there are sites;
    FLamby trains Heart Disease with SGD at 0.01. With one site this is FedAvg.
    Pitfalls: an order drawn anew in every cycle, or not seeded (FLamby has `deterministic_cycle` for it); time counted
    as if sites trained side by side; the model remembers the last site best, whatever its size.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        within("system.sites", self.sites, 0, 1)  # one site trains at a time, 0 says the same

    def uploads(self, members: int) -> int:
        """One."""
        return 1

    def order(self, profile: Profile) -> Ints:
        """The sites in the order of a cycle, [N]."""
        return stream(profile.seed, "cycle").permutation(profile.members)

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        """One site each; nobody starts where it does not answer."""
        order, pace = self.order(profile), self.slowness(profile)
        travel, seconds = self.travel(profile), 0.0
        self.fits(len(order))
        for number in range(1, rounds + 1):
            asked = order[[(number - 1) % len(order)]]
            start = asked[self.answers(profile.keys[asked], profile.seed, number)]
            steps = profile.steps[start]
            seconds += travel + float((pace[start] * steps).sum())
            yield Tick(seconds, asked, start, steps, start, np.zeros(len(start), dtype=np.int64))
