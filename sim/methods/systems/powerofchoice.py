"""Power-of-choice: of a few candidates those with the largest loss train."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import Refused, within
from sim.methods.systems.base import Losses, Profile, System, Tick
from sim.random import stream

NUMBER = 4  # bytes in which a candidate tells its loss


@dataclass
class PowerOfChoice(System):
    """Power-of-choice client selection: in every round the sites with the largest loss among some candidates train.

    Source: Cho, Wang, Joshi, Towards Understanding Biased Client Selection in Federated Learning, AISTATS 2022.
    Rule: d candidates are drawn without replacement, site k with a chance in proportion to its weight p_k in the
    objective; they download w and tell `F_k(w)`, their loss over all training rows; the m with the largest train.
    Values: `m = sites <= d = candidates <= N`; the paper takes d of two to ten times m [M]. d = m draws by weight, and
    d = m = N is system=sync.
    Pitfalls: the candidates' downloads and losses left uncounted (here all d download and tell 4 bytes, and those
    chosen do not download again); candidates drawn alike. The loss is a forward pass whose time is not counted. The
    choice is biased: it comes to rest elsewhere than FedAvg of all.
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
