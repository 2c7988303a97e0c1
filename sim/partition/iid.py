"""IID: every site is a random sample of the same population."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, People, Sites, draw
from sim.random import key, scatter


@dataclass
class IID(Partition):
    """Patients in random order, cut into parts whose sizes differ by one at most; not stratified."""

    sites: int = 4  # >= 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Equal shares, str [R]."""

        def attempt(people: People, number: int) -> NDArray[np.int64]:
            order = np.argsort(scatter(key(seed, "partition", "iid", number), people.key))
            site = np.empty(len(order), dtype=np.int64)
            site[order] = np.arange(len(order)) * self.sites // len(order)
            return site

        remedy = "lower partition.sites, or set partition.min_rows or partition.min_events lower"
        return draw(self, "IID", remedy, cohort, outcome, self.sites, attempt)
