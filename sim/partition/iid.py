"""IID: every patient goes to any site alike."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites
from sim.partition.minimums import floors
from sim.partition.redraw import Words, people, redraw


@dataclass
class Iid(Partition):
    """A random order of the patients, cut into equal pieces: sizes differ by one patient at most; not stratified."""

    sites: int = 4  # >= 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)

        def draw(number: int) -> Ints:
            site = np.empty(len(group.word), dtype=np.int64)
            site[group.shuffled(seed, "iid", number)] = np.arange(len(site)) * self.sites // len(site)
            return site

        return redraw(group, self.sites, floors(self, cohort, outcome), draw, Words("IID", ()))
