"""Quantity skew: sites differ in size alone."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites
from sim.partition.minimums import floors
from sim.partition.redraw import Words, cut, people, redraw
from sim.random import stream


@dataclass
class Quantity(Partition):
    """A random order of the patients, cut in shares q ~ Dirichlet(alpha, ..., alpha): NIID-Bench, Li et al., ICDE 2022.

    Who goes where does not depend on the outcome, so that sites differ in it by chance alone.
    """

    sites: int = 4  # >= 1
    alpha: float = 0.5  # > 0; small = a few large sites, large = equal sizes; NIID-Bench's usual value

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)

        def draw(number: int) -> Ints:
            site = np.empty(len(group.word), dtype=np.int64)
            shares = stream(seed, "partition", "quantity", number).dirichlet(np.full(self.sites, self.alpha))
            cut(group.shuffled(seed, "quantity", number), shares, site)
            return site

        words = Words(f"Quantity(alpha={self.alpha:g})", ("raise partition.alpha",))
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words)
