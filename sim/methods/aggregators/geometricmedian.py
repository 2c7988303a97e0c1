"""The geometric median, computed by reweighted means."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator, weighted_mean
from sim.methods.contract import Message
from sim.methods.sums import lengths, summed


@dataclass
class GeometricMedian(Aggregator):
    """The point with the smallest weighted sum of distances to the uploads (RFA), by smoothed Weiszfeld steps.

    Source: Pillutla, Kakade, Harchaoui, Robust Aggregation for Federated Learning, IEEE Transactions on Signal
    Processing 2022, Algorithm 2.
    Rule: from the weighted mean `v = sum p_i u_i`, `R` times: `beta_i = p_i / max(nu, |v - u_i|)`,
    `v <- sum beta_i u_i / sum beta_i`; distances over all vectors of the message end to end.
    Values: `R` 3, a few passes are enough; `nu` 1e-6 [M], below the distances between uploads.
    Pitfalls: every step is a mean, so secure aggregation could compute it with R messages from each site; here the
    server sees whole uploads. Distances are not squared: with squares the weights are not those of a median. Less than
    half of the weight cannot move the result arbitrarily far, but with few steps a distant upload still pulls at it.
    An upload with NaN or infinite values has no weight.
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
        if not all(bool(torch.isfinite(centre).all()) for centre in centres):
            beta = normalised(beta * torch.isfinite(lengths(parts)))
            centres = [summed(part, beta) for part in parts]
        for _ in range(self.R):
            beta = normalised(p.double() / lengths(parts, centres).clamp(min=self.nu))
            centres = [summed(part, beta) for part in parts]
        scalars = {name: weighted_mean(part, beta) for name, part in sent.items() if part.dim() == 1}
        return scalars | {name: centre.to(sent[name].dtype) for name, centre in zip(names, centres, strict=True)}


def normalised(beta: Tensor) -> Tensor:
    """Weights with sum 1; [M] -> [M]."""
    return beta / beta.sum()
