"""Power-of-choice: of some candidates, those with the largest loss train."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import Refused, within
from sim.methods.systems.base import Losses, Profile, System, Tick
from sim.random import stream

NUMBER = 4  # bytes of a candidate's loss


@dataclass
class PowerOfChoice(System):
    """Power-of-choice client selection: in every round, the candidates with the largest loss train.

    Source: Cho, Wang, Joshi, Towards Understanding Biased Client Selection in Federated Learning, AISTATS 2022.
    Rule: d candidates are drawn without replacement, site k with a probability proportional to its weight p_k in the
    objective; they download w and send `F_k(w)`, their loss over all training rows; the m sites with the largest losses
    train.
    Values: `m = sites <= d = candidates <= N`; the paper uses d of two to ten times m [M]. d = m samples sites by
    weight, and d = m = N is system=sync.
    Pitfalls: not counting the candidates' downloads and losses (here all d download and send 4 bytes, and the chosen
    ones do not download again); drawing candidates with equal probabilities. The time of the forward pass for the loss
    is not counted. The selection is biased: it converges to another point than FedAvg with all sites.
    """

    candidates: int = 0  # >= 0 sites that are asked for their loss; 0 = all

    def __post_init__(self) -> None:
        super().__post_init__()
        within("system.candidates", self.candidates, 0)
        if self.candidates and not 0 < self.sites <= self.candidates:
            raise Refused(
                f"system.candidates={self.candidates}, system.sites={self.sites}: the sites that train are chosen "
                f"among the candidates. Set system.sites to 1..{self.candidates}, or system.candidates=0 for all."
            )

    def uploads(self, members: int) -> int:
        """Those that are chosen."""
        return self.sites or members

    def fits(self, total: int) -> None:
        """Refuse more candidates than there are sites."""
        super().fits(total)
        if self.candidates > total:
            raise Refused(
                f"system.candidates={self.candidates}: the federation has {total} sites; allowed 0 (all) to {total}."
            )

    def drawn(self, profile: Profile, round: int) -> Ints:
        """The candidates of a round, ascending; [d]."""
        members, share = profile.members, profile.share[profile.members]
        if self.candidates in (0, len(members)):
            return members
        draw = stream(profile.seed, "candidates", round)
        return np.sort(draw.choice(members, self.candidates, replace=False, p=share / share.sum()))

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        """Asked: the candidates. Start and arrive: those chosen among the ones that answer."""
        self.fits(len(profile.members))
        pace, seconds = self.slowness(profile), 0.0
        travel = self.travel(profile) + 2 * self.latency_seconds  # a loss up and the word to begin down
        for number in range(1, rounds + 1):
            asked = self.drawn(profile, number)
            there = asked[self.answers(profile.keys[asked], profile.seed, number)]
            most = np.argsort(-losses(there), kind="stable")[: self.uploads(len(profile.members))]
            start = np.sort(there[most])
            steps = profile.steps[start]
            seconds += travel + float((pace[start] * steps).max(initial=0.0))
            yield Tick(seconds, asked, start, steps, start, np.zeros(len(start), np.int64), NUMBER * len(there))
