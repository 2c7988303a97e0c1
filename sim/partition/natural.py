"""Natural: the sites that a column of the data names."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Names
from sim.checks import Refused, one_of
from sim.cohort.table import Cohort
from sim.factorize import at_several_places
from sim.lazy import pd
from sim.partition.base import Partition
from sim.partition.minimums import floors


@dataclass
class Natural(Partition):
    """One site for every value of a column.

    The floors are off until they are set: a real hospital without an event is part of the question, and there is no
    draw that could be repeated.
    """

    min_rows: int = 1
    min_events: int = 0
    column: str = "site"  # of the cohort's table

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Names:
        """Value of the column in every row, [R]; nothing is drawn. Refuses gaps and patients with several values."""
        one_of("partition.column", self.column, map(str, cohort.table.columns))
        column = cohort.table[self.column]
        if column.isna().any():
            row = int(np.argmax(column.isna()))
            raise Refused(
                f"partition.column={self.column!r}: row {row} has no value. Fill it in, or choose another column."
            )
        several = at_several_places(cohort.table["patient"], column)
        if len(several):
            raise Refused(
                f"partition.column={self.column!r}: patient {several['patient'].iloc[0]!r} has several values, so "
                "several sites. Choose a column that is the same in all rows of a patient."
            )
        code, values = pd.factorize(column)
        names = np.asarray(values.astype(str), dtype=str)
        different, place = np.unique(names, return_inverse=True)
        site = place[code]
        lack = floors(self, cohort, outcome).lack(different, site, cohort.classes(outcome))
        if lack.sites:
            raise Refused(f"Column {self.column!r} makes {lack.in_words()}; set {' '.join(lack.remedies())}.")
        return different[site]
