"""Label skew by a Dirichlet law. Three different things carry that name; this is the first.

A  class -> sites: for each class, shares over sites ~ Dir_N(alpha). Sizes become skewed too. Yurochkin et al., ICML
   2019; NIID-Bench (Li et al., ICDE 2022), without its re-balancing, which weakens the skew at the same alpha.
B  site -> classes: sizes first, then each site's class mix ~ Dir_C(alpha * prior) (Hsu et al., arXiv 1909.06335).
C  Pachinko: two levels of classes (Reddi et al., ICLR 2021).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, People, Sites, draw
from sim.random import key, scatter, stream, uniform


def deal(people: NDArray[np.uint64], shares: NDArray[np.float64], word: int) -> NDArray[np.int64]:
    """Site of each patient: patients in random order, cut at the cumulated shares; uint64 [q], [N] -> [q]."""
    order = np.argsort(uniform(scatter(word, people)))
    site = np.empty(len(people), dtype=np.int64)
    place = (np.arange(len(people)) + 0.5) / max(len(people), 1)
    site[order] = np.minimum(np.searchsorted(np.cumsum(shares), place), len(shares) - 1)
    return site


@dataclass
class Dirichlet(Partition):
    """Definition A over the outcome: with and without the event. Small alpha, strong skew; infinity is IID."""

    sites: int = 4  # >= 1
    alpha: float = 0.5  # > 0; the field uses 0.1 to 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Patients with and without the event dealt apart, str [R]."""

        def attempt(people: People, number: int) -> NDArray[np.int64]:
            site = np.empty(len(people.key), dtype=np.int64)
            for event in (False, True):
                path = ("partition", "dirichlet", number, int(event))
                shares = stream(seed, *path).dirichlet(np.full(self.sites, self.alpha))
                mine = people.event == event
                site[mine] = deal(people.key[mine], shares, key(seed, *path, "deal"))
            return site

        remedy = "raise partition.alpha, lower partition.sites, or set partition.min_rows or partition.min_events lower"
        return draw(self, f"Dirichlet(alpha={self.alpha:g})", remedy, cohort, outcome, self.sites, attempt)
