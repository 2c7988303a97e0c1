"""The synchronous system: every round asks some sites and waits for their answers, or for its deadline."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.checks import Refused, within
from sim.methods.systems.base import Losses, Profile, System, Tick


@dataclass
class Sync(System):
    """Every round asks some sites and waits for their answers, or for its deadline.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017;
    deadline and partial work: Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020.
    Rule: a round takes as long as its slowest site. With a deadline, a slow site completes fewer steps; without
    `partial`, work that is not complete by then is lost, as FedAvg drops stragglers in the comparison of FedProx.
    Values: the FedProx paper lets 0, 50 and 90 % of the devices be stragglers.
    Pitfalls: comparing FedProx with partial work to FedAvg without it mixes two effects: use the same `partial` for
    both.
    """

    deadline: float = 0.0  # >= 0 seconds per round, including messages; 0 = wait for all
    partial: bool = True  # whether work that the deadline interrupted is used

    def __post_init__(self) -> None:
        super().__post_init__()
        within("system.deadline", self.deadline, 0)

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        """Asked: drawn without replacement. Start and arrive: those that answer with at least one step."""
        members, seconds = profile.members, 0.0
        pace, travel = self.slowness(profile), self.travel(profile)
        if self.deadline and self.deadline <= travel:
            raise Refused(f"system.deadline={self.deadline:g}: messages alone take {travel:.3g} seconds. Raise it.")
        for number in range(1, rounds + 1):
            asked = members[self.sample(len(members), profile.seed, number)]
            start = asked[self.answers(profile.keys[asked], profile.seed, number)]
            steps, late = profile.drawn(profile.steps, number)[start], np.zeros(len(start), dtype=bool)
            if self.deadline:
                able = np.floor((self.deadline - travel) / pace[start] + 1e-9).astype(np.int64)
                late = able < steps
                steps = np.minimum(steps, able)
                kept = steps > 0 if self.partial else ~late
                start, steps = start[kept], steps[kept]
            waited = bool(late.any()) or (bool(self.deadline) and len(start) < len(asked))
            spent = travel + float((pace[start] * steps).max(initial=0.0))
            seconds += self.deadline if waited else spent
            yield Tick(seconds, asked, start, steps, start, np.zeros(len(start), dtype=np.int64))

    @property
    def certain(self) -> bool:
        """No site drops out or is too late."""
        return super().certain and self.deadline == 0

    def uploads(self, members: int) -> int:
        """All that are asked."""
        return self.sites or members
