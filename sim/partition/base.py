"""A partition assigns the rows of a cohort to sites: a pure function of (cohort, outcome, seed)."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from sim.arrays import Names
from sim.checks import within
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.lazy import pd
from sim.partition.external import External


@dataclass
class Partition:
    """Settings that all partitions share."""

    min_rows: int = 10  # >= 1; floor of every site: fewer rows are refused
    min_events: int = 1  # >= 0; floor of every site: rows of each of two classes, or events of a survival outcome
    overlap: float = 0.0  # 0..1; share of patients who are also known, under another number, at a second site
    external: External = field(default_factory=External)  # sites that do not train and are only evaluated

    def __post_init__(self) -> None:
        within("partition.min_rows", self.min_rows, 1)
        within("partition.min_events", self.min_events, 0)
        within("partition.overlap", self.overlap, 0, 1)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Names:
        """Name of the site of every row, [R]; all rows of a patient are at one site.

        Refuses settings that the cohort cannot meet, and sites below a floor.
        """
        raise NotImplementedError


def digest(cohort: Cohort, sites: Names) -> str:
    """Hash of which patient is at which site, 32 hexadecimal digits; the order of the rows does not matter."""
    names, site = factorize(sites)
    placed = pd.Categorical.from_codes(site, pd.Index(names))
    pairs = pd.DataFrame({"patient": cohort.table["patient"].to_numpy(), "site": placed})
    rows = np.sort(pd.util.hash_pandas_object(pairs, index=False).to_numpy())
    return hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()
