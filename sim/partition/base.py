"""A partition deals the rows of a cohort to sites: a pure function of (cohort, outcome, seed)."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sim.arrays import Names
from sim.checks import within
from sim.cohort.table import Cohort
from sim.factorize import coded
from sim.partition.external import External

Sites = Names  # [R] name of the site of every row


@dataclass
class Partition:
    """Settings that every partition shares."""

    min_rows: int = 10  # >= 1; rows below which a site is refused
    min_events: int = 1  # >= 0; rows of each of two classes, or events of a survival, below which a site is refused
    overlap: float = 0.0  # 0..1; share of patients who are also known, under another number, at a second site
    external: External = field(default_factory=External)  # sites that do not train and are only judged

    def __post_init__(self) -> None:
        within("partition.min_rows", self.min_rows, 1)
        within("partition.min_events", self.min_events, 0)
        within("partition.overlap", self.overlap, 0, 1)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]; all rows of a patient at one site."""
        raise NotImplementedError


def digest(cohort: Cohort, sites: Sites) -> str:
    """Fingerprint of who holds what; the order of the rows does not matter."""
    names, site = coded(sites)
    where = pd.Categorical.from_codes(site, pd.Index(names))
    held = pd.DataFrame({"patient": cohort.table["patient"].to_numpy(), "site": where})
    rows = np.sort(pd.util.hash_pandas_object(held, index=False).to_numpy())
    return hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()
