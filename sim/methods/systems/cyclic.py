"""Cyclic transfer: the sites train the model one after the other and pass it on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import within
from sim.methods.systems.base import Losses, Profile, System, Tick
from sim.random import stream


@dataclass
class Cyclic(System):
    """Cyclic weight transfer: the sites train one after the other, each starting from the previous site's model.

    Source: Chang et al., Distributed deep learning networks among institutions for medical imaging, JAMIA 2018.
    Rule: `w_t = w_(t-1) + Delta_k(w_(t-1))`, `k = order[t mod N]`; the order is drawn once per seed and every cycle
    repeats it. An update takes the time of the site's steps and two messages, so times add up over the sites. A site
    that does not answer is skipped, and the next one starts from the same model.
    Values: local.epochs=1 per visit [M]; `rounds` counts visits, so a cycle takes as many rounds as there are sites;
    FLamby trains Heart Disease with SGD at 0.01. With one site this is FedAvg.
    Pitfalls: drawing the order again in every cycle, or without a seed (FLamby has `deterministic_cycle` for this);
    counting time as if sites trained in parallel. The model fits the last site best, whatever its size.
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
        """One site each; if it does not answer, no site starts."""
        order, pace = self.order(profile), self.slowness(profile)
        travel, seconds = self.travel(profile), 0.0
        self.fits(len(order))
        for number in range(1, rounds + 1):
            asked = order[[(number - 1) % len(order)]]
            start = asked[self.answers(profile.keys[asked], profile.seed, number)]
            steps = profile.steps[start]
            seconds += travel + float((pace[start] * steps).sum())
            yield Tick(seconds, asked, start, steps, start, np.zeros(len(start), dtype=np.int64))
