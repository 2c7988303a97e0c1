"""The coordinate-wise median."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator
from sim.methods.aggregators.order import BLOCK, columns, middle, of_ordered
from sim.methods.contract import Message

HALF = 1e-9  # how near to one half a sum of weights counts as one half


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


def median(values: Tensor, p: Tensor) -> Tensor:
    """Weighted median of each column; [M, P] or [M], p [M] with sum 1 -> [P] or []."""
    if bool((p == p[0]).all()):
        return of_ordered(values, middle)
    rows, step = columns(values), max(BLOCK // len(values), 1)
    found = np.concatenate([weighted_median(rows[low : low + step], p) for low in range(0, len(rows), step)])
    return torch.from_numpy(found).reshape(values.shape[1:])


def weighted_median(rows: NDArray[np.floating], p: Tensor) -> NDArray[np.floating]:
    """Weighted median of each row; [P, M], p [M] -> [P]."""
    order = rows.argsort(axis=1)
    below = np.cumsum(p.double().numpy()[order], axis=1)  # [P, M] weight up to and with each value
    last = rows.shape[1] - 1
    low, high = (np.minimum((below < 0.5 + side).sum(1), last)[:, None] for side in (-HALF, HALF))
    one, other = (np.take_along_axis(rows, np.take_along_axis(order, at, 1), 1)[:, 0] for at in (low, high))
    return np.where(low[:, 0] == high[:, 0], one, (one + other) / 2)
