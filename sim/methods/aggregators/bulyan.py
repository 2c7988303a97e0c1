"""Bulyan: repeated Krum selection, then a trimmed mean around the median."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.methods.aggregators.krum import Krum
from sim.methods.aggregators.order import mean_of, middle, of_ordered
from sim.methods.aggregators.selection import selected
from sim.methods.contract import Message
from sim.methods.distances import squared_distances, vectors


@dataclass
class Bulyan(Krum):
    """Krum selects M - 2 f uploads one by one; each coordinate is the mean of their values closest to the median.

    Source: El Mhamdi, Guerraoui, Rouault, The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018.
    Rule: `theta = M - 2 f` times Krum's choice among the uploads that remain, scores over their nearest `M' - f - 2`
    others, or at least one; then for each coordinate the mean of the `theta - 2 f` selected values that lie closest to
    their median. All sites have the same weight.
    Values: `f` is the number of faulty sites that are tolerated, `M >= 4 f + 3`; with 7 to 14 hospitals 1 or 2.
    Pitfalls: the scores change as uploads are removed; ranking once and taking the first theta is Multi-Krum. The
    second stage keeps the values closest to the median, which differs from a trimmed mean of the same number. A
    hospital that differs from the rest is left out in the first stage: `run.json` counts in how many rounds.
    """

    @property
    def least(self) -> int:
        """4 f + 3 uploads, for which the paper's proof holds."""
        return 4 * self.f + 3

    def chosen(self, sent: Message) -> Tensor:
        """First stage: numbers of the uploads that Krum selects, ascending; [theta]."""
        distance = squared_distances(vectors(sent))
        return torch.from_numpy(selected(distance, self.f, len(distance) - 2 * self.f))

    def blend(self, sent: Message, chosen: Tensor) -> Message:
        """Second stage: for each coordinate the mean of the values closest to the median of those selected."""
        kept = len(chosen) - 2 * self.f

        def near(values: NDArray[np.floating]) -> NDArray[np.floating]:
            return mean_of(closest(values, middle(values), kept))

        return {name: of_ordered(part[chosen], near) for name, part in sent.items()}


def closest(values: NDArray[np.floating], centre: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """The values of every row, in ascending order, that lie closest to its centre; [P, M], [P] -> [P, count].

    They stand together: the first is given up as long as the one after the last is nearer. Of two as far, the smaller.
    """
    last = values.shape[1] - count
    start = (centre[:, None] - values[:, :last] > values[:, count:] - centre[:, None]).sum(1)
    return np.take_along_axis(values, start[:, None] + np.arange(count), axis=1)
