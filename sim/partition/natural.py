"""Natural: the sites that the data themselves name."""

from dataclasses import dataclass

import numpy as np

from sim.checks import Refused, one_of
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites
from sim.partition.floors import floors


@dataclass
class Natural(Partition):
    """One site for every value of a column.

    Real sites are what they are, so that the floors are off until they are set: a hospital without an event is part
    of the question, not of a draw that could be repeated.
    """

    min_rows: int = 1
    min_events: int = 0
    column: str = "site"  # of the cohort's table

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Value of the column in every row, str [R]; draws nothing."""
        one_of("partition.column", self.column, map(str, cohort.table.columns))
        column = cohort.table[self.column]
        if column.isna().any():
            row = int(np.argmax(column.isna()))
            raise Refused(
                f"partition.column={self.column!r}: row {row} has none. Fill it in, or choose another column."
            )
        pairs = cohort.table[["patient", self.column]].drop_duplicates()
        if pairs["patient"].duplicated().any():
            patient = pairs["patient"][pairs["patient"].duplicated()].iloc[0]
            raise Refused(
                f"partition.column={self.column!r}: patient {patient!r} has several values, so several sites. "
                "Choose a column that is the same in all rows of a patient."
            )
        sites = column.astype(str).to_numpy(dtype=str)
        names, site = np.unique(sites, return_inverse=True)
        lack = floors(self, cohort, outcome).lack(names, site, cohort.events(outcome))
        if lack.sites:
            raise Refused(f"Column {self.column!r} makes {lack.told()}; set {' '.join(lack.remedies())}.")
        return sites
