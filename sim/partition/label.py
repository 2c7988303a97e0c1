"""Label skew: sites differ in how often the outcome happens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites
from sim.partition.deal import Words, cut, people, redraw
from sim.partition.floors import floors
from sim.random import stream


@dataclass
class Dirichlet(Partition):
    """Each class is dealt over the sites in shares q ~ Dirichlet(alpha, ..., alpha).

    Three different things are called "Dirichlet(alpha)". This is the first: classes are dealt to sites (Yurochkin et
    al., ICML 2019; NIID-Bench, Li et al., ICDE 2022), without NIID-Bench's balancing line, which sets q to 0 at sites
    that already hold 1/S of the rows and so gives a much weaker skew under the same alpha. Sizes become skewed with the
    labels. The other two draw a class mixture for each site (Hsu et al., 2019), with or without fixed sizes.

    Classes are the two values of a label; of a survival outcome, whether the event happened.
    """

    sites: int = 4  # >= 1
    alpha: float = 0.5  # > 0; small = skewed, large = IID; NIID-Bench's usual value

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)

        def draw(number: int) -> NDArray[np.int64]:
            site = np.empty(len(group.word), dtype=np.int64)
            order = group.shuffled(seed, "dirichlet", number)
            for happened in (False, True):
                shares = stream(seed, "partition", "dirichlet", number, int(happened)).dirichlet(
                    np.full(self.sites, self.alpha)
                )
                cut(order[group.had[order] == happened], shares, site)
            return site

        words = Words(f"Dirichlet(alpha={self.alpha:g})", ("raise partition.alpha",))
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words)
