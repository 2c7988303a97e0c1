"""Quantity skew: sites differ only in size."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Ints
from sim.cohort.table import Cohort
from sim.partition.redraw import LabelledPatients, Plan, RandomPartition, deal_shares
from sim.random import stream


@dataclass
class Quantity(RandomPartition):
    """A random order of the patients, cut in shares q ~ Dirichlet(alpha, ..., alpha): NIID-Bench, Li et al., ICDE 2022.

    Which site a patient goes to does not depend on the outcome, so event rates differ between sites by chance alone.
    """

    positive: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 0.5  # > 0; small = a few large sites, large = equal sizes; NIID-Bench's usual value

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Shuffles, each cut into pieces by a draw of q."""

        def draw(number: int) -> Ints:
            site = np.empty(len(patients.word), dtype=np.int64)
            shares = stream(seed, "partition", "quantity", number).dirichlet(np.full(self.sites, self.alpha))
            deal_shares(patients.shuffled(seed, "quantity", number), shares, site)
            return site

        return Plan(draw, f"Quantity(alpha={self.alpha:g})", ("raise partition.alpha",))
