"""IID: every site draws from the same population."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.cohort.table import Cohort
from sim.partition.redraw import LabelledPatients, Plan, RandomPartition


@dataclass
class Iid(RandomPartition):
    """A random order of the patients, cut into equal pieces: sizes differ by one patient at most; not stratified."""

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Shuffles, each cut into pieces of equal size."""

        def draw(number: int) -> Ints:
            site = np.empty(len(patients.word), dtype=np.int64)
            site[patients.shuffled(seed, "iid", number)] = np.arange(len(site)) * self.sites // len(site)
            return site

        return Plan(draw, "IID")
