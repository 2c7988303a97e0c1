"""Natural: the sites the data came with."""

from dataclasses import dataclass

import numpy as np

from sim.checks import Refused, one_of
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites, lacking, refusal


@dataclass
class Natural(Partition):
    """One site per value of a column. Real sites are what they are: by default none is too small."""

    min_rows: int = 1  # >= 1
    min_events: int = 0  # >= 0
    column: str = "site"

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """The column itself, str [R]."""
        one_of("partition.column", self.column, [str(name) for name in cohort.table.columns])
        values = cohort.table[self.column]
        if values.isna().any():
            row = int(np.flatnonzero(values.isna())[0])
            raise Refused(f"partition.column={self.column!r}: row {row} has no value; every row needs a site.")
        sites = values.astype(str).to_numpy(dtype=str)
        called, number = np.unique(sites, return_inverse=True)
        short = lacking(self, number, cohort, outcome, len(called))
        if short:
            remedy = "lower partition.min_rows or partition.min_events, or drop these sites from the data"
            raise Refused(refusal("The natural partition", "as they are", short, called, len(called), remedy))
        return sites
