"""The coordinate-wise median."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Message
from sim.methods.quantile import median


@dataclass
class Median(Aggregator):
    """The median of every coordinate, weighted as the mean is.

    Source: Yin, Chen, Ramchandran, Bartlett, Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates,
    ICML 2018, Option I of Algorithm 1; the weights are ours.
    Rule: for each coordinate the value at which half of the weight lies below; the midpoint of two where a half ends
    between them. Equal weights give the paper's median.
    Values: none. Attackers of less than half of the weight cannot move it beyond the honest values.
    Pitfalls: it is biased where sites differ, for the median of skewed updates is not their mean. `torch.median` is the
    lower of the two middle values of an even number of sites. Implementations in common use ignore the weights.
    """

    def combine(self, sent: Message, p: Tensor) -> Message:
        """Weighted medians."""
        return {name: median(part, p) for name, part in sent.items()}
