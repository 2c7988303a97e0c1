"""The geometric median, computed by reweighted means."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator, weighted
from sim.methods.contract import Message
from sim.methods.distances import in_double, summed


@dataclass
class GeometricMedian(Aggregator):
    """The point with the smallest weighted sum of distances to the uploads (RFA), by smoothed Weiszfeld steps.

    Source: Pillutla, Kakade, Harchaoui, Robust Aggregation for Federated Learning, IEEE Transactions on Signal
    Processing 2022, Algorithm 2.
    Rule: from the weighted mean `v = sum p_i u_i`, `R` times: `beta_i = p_i / max(nu, |v - u_i|)`, `v <- sum beta_i u_i
    / sum beta_i`; distances over all vectors of the message end to end.
    Values: `R` 3; a few passes are enough. `nu` 1e-6 [M], below the distances between uploads.
    Pitfalls: every step is a mean, so secure aggregation could compute it with R messages from each site; here the
    server sees whole uploads. Distances must not be squared: the result would not be a median. Less than half of the
    weight cannot move it arbitrarily far, but with few steps a distant upload still has influence.
    """

    R: int = 3  # >= 1 reweighted means after the plain one
    nu: float = 1e-6  # > 0, distance below which the weight of an upload no longer grows, in units of the parameters

    def __post_init__(self) -> None:
        within("aggregator.R", self.R, 1, 1000)
        within("aggregator.nu", self.nu, 0, open_low=True)

    def combine(self, sent: Message, p: Tensor) -> Message:
        """The last reweighted mean, and its weights' mean of the scalars."""
        names, beta = [name for name, part in sent.items() if part.dim() == 2], p.double()
        parts = [sent[name] for name in names]
        centres = [summed(part, beta) for part in parts]
        for _ in range(self.R):
            centres, beta = self.reweighted(parts, centres, p.double())
        scalars = {name: weighted(part, beta) for name, part in sent.items() if part.dim() == 1}
        return scalars | {name: centre.to(sent[name].dtype) for name, centre in zip(names, centres, strict=True)}

    def reweighted(self, parts: Sequence[Tensor], centres: Sequence[Tensor], p: Tensor) -> tuple[list[Tensor], Tensor]:
        """Means with weights by distance from the centres, and these weights; the uploads are read once for both."""
        beta, moved = torch.empty_like(p), [torch.zeros_like(centre) for centre in centres]
        for blocks in zip(*map(in_double, parts), strict=True):
            some = blocks[0][0]
            away = [block.sub_(centre) for (_, block), centre in zip(blocks, centres, strict=True)]
            far = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one, dim=1) for one in away]), dim=0)
            beta[some] = p[some] / far.clamp(min=self.nu)
            for total, one in zip(moved, away, strict=True):
                total += beta[some] @ one
        return [centre + total / beta.sum() for centre, total in zip(centres, moved, strict=True)], beta / beta.sum()
