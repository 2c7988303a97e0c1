"""Quantity skew: sites differ in size, not in kind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, People, Sites, draw
from sim.partition.label import deal
from sim.random import key, stream


@dataclass
class Quantity(Partition):
    """Sizes ~ Dir_N(alpha), patients at random (NIID-Bench, Li et al., ICDE 2022)."""

    sites: int = 4  # >= 1
    alpha: float = 0.5  # > 0; small alpha, unequal sites

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Unequal shares of one population, str [R]."""

        def attempt(people: People, number: int) -> NDArray[np.int64]:
            path = ("partition", "quantity", number)
            shares = stream(seed, *path).dirichlet(np.full(self.sites, self.alpha))
            return deal(people.key, shares, key(seed, *path, "deal"))

        remedy = "raise partition.alpha, lower partition.sites, or set partition.min_rows or partition.min_events lower"
        return draw(self, f"Quantity(alpha={self.alpha:g})", remedy, cohort, outcome, self.sites, attempt)
