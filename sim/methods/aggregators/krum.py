"""Krum: the upload that lies nearest to the others."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Message


@dataclass
class Krum(Aggregator):
    """Blanchard et al., Machine Learning with Adversaries, NIPS 2017.

    The score of an upload is the sum of its squared distances to the M - f - 2 nearest others; the one with the least
    is taken whole, with all parts of its message. Every site counts the same. An honest hospital that differs from the
    rest looks like an attacker and is never heard.
    """

    equal = True

    f: int = 1  # >= 0 attackers that are withstood

    def __post_init__(self) -> None:
        within("aggregator.f", self.f, 0)

    @property
    def least(self) -> int:
        """2 f + 3 uploads, for which the paper's proof holds."""
        return 2 * self.f + 3

    def combine(self, sent: Message, p: Tensor) -> Message:
        """The chosen site's message."""
        best = int(self.scores(sent).argmin())
        return {name: part[best] for name, part in sent.items()}

    def scores(self, sent: Message) -> Tensor:
        """Score of every upload, over all vectors of the message end to end; [M]."""
        u = torch.cat([part for part in sent.values() if part.dim() == 2], dim=1).double()
        distance = torch.cdist(u, u, compute_mode="donot_use_mm_for_euclid_dist").square()
        distance.fill_diagonal_(torch.inf)
        return distance.sort(dim=1).values[:, : len(u) - self.f - 2].sum(1)
