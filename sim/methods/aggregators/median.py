"""The coordinate-wise median."""

from dataclasses import dataclass

from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Message

HALF = 1e-9  # how near to one half a sum of weights counts as one half


@dataclass
class Median(Aggregator):
    """Yin et al., Byzantine-Robust Distributed Learning, ICML 2018; here with weights.

    For each coordinate the value at which half of the weight lies below; the midpoint of two where a half ends between
    them. Attackers of less than half of the weight cannot move it beyond the honest values. It is biased where sites
    differ: the median of skewed updates is not their mean.
    """

    def combine(self, sent: Message, p: Tensor) -> Message:
        """Weighted medians."""
        return {name: median(part, p) for name, part in sent.items()}


def median(values: Tensor, p: Tensor) -> Tensor:
    """Weighted median of each column; [M, P] or [M], p [M] with sum 1 -> [P] or []."""
    rows = values.reshape(len(values), -1)
    ordered, order = rows.sort(dim=0)
    below = p.double()[order].cumsum(0)  # [M, P] weight up to and with each value
    low = (below < 0.5 - HALF).sum(0).clamp(max=len(rows) - 1)
    high = (below < 0.5 + HALF).sum(0).clamp(max=len(rows) - 1)
    middle = (ordered.gather(0, low[None]) + ordered.gather(0, high[None]))[0] / 2
    return torch.where(low == high, ordered.gather(0, low[None])[0], middle).reshape(values.shape[1:])
