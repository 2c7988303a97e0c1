"""The coordinate-wise trimmed mean."""

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.aggregators.base import Aggregator
from sim.methods.aggregators.order import mean_of, of_ordered
from sim.methods.contract import Message

SLACK = 1e-9  # 0.28 * 25 is 7, and not the 8 that rounding up its floating-point value gives


@dataclass
class TrimmedMean(Aggregator):
    """The mean of every coordinate without its largest and smallest values. All sites have the same weight.

    Source: Yin, Chen, Ramchandran, Bartlett, Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates,
    ICML 2018, Option II of Algorithm 1.
    Rule: for each coordinate leave out the `ceil(beta M)` largest and as many of the smallest of M values, and average
    the others. If none would be left, use the median.
    Values: `beta` should be at least the share of faulty sites, 0.1 to 0.2 [M]; 0 = the mean over sites.
    Pitfalls: Flower truncates `int(beta M)`: with beta 0.1 and nine sites nothing is trimmed. Extremes are trimmed
    separately for each coordinate, so no site is left out completely, and an honest outlier loses only its extreme
    values.
    """

    equal = True

    beta: float = 0.1  # [0, 0.5), share of the uploads left out at either end

    def __post_init__(self) -> None:
        within("aggregator.beta", self.beta, 0, 0.5, open_high=True)

    def trimmed(self, uploads: int) -> int:
        """Values that are left out at either end; the median is left at least."""
        return min(math.ceil(self.beta * uploads - SLACK), (uploads - 1) // 2)

    def combine(self, sent: Message, p: Tensor) -> Message:
        """Means of what is left."""
        kept = slice(self.trimmed(len(p)), len(p) - self.trimmed(len(p)))
        return {name: of_ordered(part, lambda values: mean_of(values[:, kept])) for name, part in sent.items()}
