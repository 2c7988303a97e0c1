"""The buffered asynchronous system: sites train at their own pace; the server updates when its buffer is full."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused, within
from sim.methods.systems.base import Losses, Profile, System, Tick
from sim.random import key


@dataclass
class Buffered(System):
    """FedBuff: sites train at their own pace, and the server updates the model when its buffer is full.

    `sites` train at the same time, each on the model that it downloaded at its start. When one ends, an idle site is
    drawn to start. An upload, and its site, wait until `buffer` uploads have arrived. If the buffer holds all sites and
    all have the same speed, this is FedAvg.

    Source: Nguyen et al., Federated Learning with Buffered Asynchronous Aggregation, AISTATS 2022, Algorithm 1.
    Rule: `x <- x + sum p_i s(tau_i) (w_i - x_tau_i)` over the buffer, `s(tau) = (1 + tau)^-power`.
    Values: a buffer of 10, power 1/2; the discount multiplies the vectors, not the weights, because with equal
    staleness it would cancel in a normalised mean.
    Pitfalls: NVFlare uses 1 / (1 + sqrt(tau)), off by default; FLGo has no discount. Fast sites take part more often.
    """

    holds = True

    buffer: int = 0  # >= 0 uploads per server update, K in the paper; 0 = half of the sites that train at the same time
    power: float = 0.5  # >= 0; an upload that is s updates late has the factor (1 + s)^-power, as in the paper

    def __post_init__(self) -> None:
        super().__post_init__()
        within("system.buffer", self.buffer, 0)
        within("system.power", self.power, 0)

    def uploads(self, members: int) -> int:
        """The buffer's size."""
        return self.buffer or max((self.sites or members) // 2, 1)

    def fits(self, total: int) -> None:
        """Refuse a buffer that could never be filled."""
        super().fits(total)
        if self.buffer > total:
            raise Refused(
                f"system.buffer={self.buffer}: the federation has {total} sites, and each waits until the server has "
                f"taken its upload; allowed 1 to {total}, or 0."
            )

    def discount(self, stale: Ints) -> Floats:
        """(1 + s)^-power."""
        return np.asarray((1.0 + stale) ** -self.power)

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        """The events of the clock, cut where the buffer is full. Ties end in the order of the sites."""
        members, full = profile.members, self.uploads(len(profile.members))
        self.fits(len(members))
        pace, travel, most = self.slowness(profile), self.travel(profile), self.sites or len(members)
        resting, begun = members.tolist(), 0  # sites at rest; trainings begun so far
        busy: list[tuple[float, int, int, bool]] = []  # end, site, update of its model, whether it will answer
        now = 0.0
        for number in range(rounds):
            asked: list[int] = []
            start: list[int] = []
            waiting: list[tuple[int, int]] = []  # site, update of its model
            while len(waiting) < full:
                while len(busy) < most and resting:
                    begun += 1
                    drawn = key(profile.seed, "begins", begun) % len(resting)
                    resting[drawn], resting[-1] = resting[-1], resting[drawn]
                    site = resting.pop()
                    answers = bool(self.answers(profile.keys[[site]], profile.seed, begun)[0])
                    asked.append(site)
                    if answers:
                        start.append(site)
                    end = now + travel + pace[site] * profile.steps[site]
                    heapq.heappush(busy, (end, site, number, answers))
                now, site, model, answers = heapq.heappop(busy)
                if answers:
                    waiting.append((site, model))
                else:
                    resting.append(site)
            arrive = np.array(sorted(waiting), dtype=np.int64)
            resting.extend(arrive[:, 0].tolist())
            began = np.sort(np.array(start, dtype=np.int64))
            downloads = np.sort(np.array(asked, dtype=np.int64))
            yield Tick(now, downloads, began, profile.steps[began], arrive[:, 0], number - arrive[:, 1])
