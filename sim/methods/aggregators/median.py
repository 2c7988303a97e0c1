"""The coordinate-wise median."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Message
from sim.methods.quantile import median


@dataclass
class Median(Aggregator):
    """The median of every coordinate, with the same weights as the mean.

    Source: Yin, Chen, Ramchandran, Bartlett, Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates,
    ICML 2018, Option I of Algorithm 1; the weights are ours.
    Rule: for each coordinate the value with half of the weight below it; the midpoint of two values if half of the
    weight ends between them. Equal weights give the paper's median.
    Values: none. Attackers with less than half of the weight cannot move it beyond the honest values.
    Pitfalls: it is biased if sites differ, because the median of skewed updates is not their mean. `torch.median`
    returns the lower of the two middle values for an even number of sites. Implementations in common use ignore the
    weights.
    """

    def combine(self, sent: Message, p: Tensor) -> Message:
        """Weighted medians."""
        return {name: median(part, p) for name, part in sent.items()}
