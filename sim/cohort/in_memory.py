"""A cohort that a program has in memory already, from `fedtrial.cohort`."""

import hashlib
from dataclasses import InitVar, dataclass

from sim.checks import Refused
from sim.cohort.table import Cohort, Source
from sim.lazy import pd


@dataclass(repr=False)
class InMemory(Source):
    """A table of patients that a program brings; its cells are part of a run's name."""

    name: str = "arrays"
    cohort: InitVar[Cohort | None] = None

    def __post_init__(self, cohort: Cohort | None) -> None:
        if cohort is None:
            raise Refused(
                "A cohort in memory cannot be read from a file. Create it with fedtrial.cohort(X, y, site=...)."
            )
        self.held = cohort
        self.digest = digest(cohort)

    def __repr__(self) -> str:
        table, (outcome,) = self.held.table, self.held.outcomes
        return (
            f"cohort {self.name!r}: {table['patient'].nunique()} patients in {len(table)} rows, "
            f"{table['site'].nunique()} sites, {len(self.held.predictors[outcome])} predictors, outcome {outcome!r}"
        )

    def fingerprint(self, seed: int) -> str:
        """Digest of all cells."""
        return self.digest

    def load(self, seed: int) -> Cohort:
        """The cohort as it was given; draws nothing."""
        return self.held


def digest(cohort: Cohort) -> str:
    """Fingerprint of all cells in row order, of the columns' types and of their roles."""
    table = cohort.table
    head = repr((cohort.outcomes, cohort.predictors, cohort.split, [(name, repr(table[name].dtype)) for name in table]))
    cells = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.blake2b(head.encode() + cells.tobytes(), digest_size=16).hexdigest()
