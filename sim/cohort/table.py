"""A cohort: one table of patients as the hospitals recorded them, and, if synthetic, the truth kept apart."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import one_of


@dataclass(frozen=True)
class Binary:
    """An outcome that happened or not."""

    label: str  # bool column


@dataclass(frozen=True)
class Survival:
    """Time to an event or to the end of follow-up."""

    time_days: str  # float column, > 0
    event: str  # bool column, True = it happened


Outcome = Binary | Survival
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Cohort:
    """Patients, what is predicted about them, and from which columns.

    table       one row a record: `patient` (unique unless a patient has several records), `site` (str), the columns of
                `outcomes` and of `predictors`. Predictors are float, int or bool (NaN = not recorded) or pandas
                categoricals whose levels are the same at every site.
    outcomes    name -> columns of the outcome
    predictors  name of the outcome -> predictor columns, none of which is known only after the outcome
    truth       same rows, synthetic cohorts only; holds for each outcome a column of its name with the best score
                there is (probability of a Binary, log-risk of a Survival). No algorithm sees it.
    split       column with "train", "valid" or "test" per row when the cohort brings its own split
    derived     columns that follow from others as they are recorded, from a table; None = no such columns
    """

    name: str
    table: pd.DataFrame
    outcomes: Mapping[str, Outcome]
    predictors: Mapping[str, tuple[str, ...]]
    truth: pd.DataFrame | None = None
    split: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # how it was made, for the run record
    derived: Callable[[pd.DataFrame], Mapping[str, pd.Series]] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Imported here because the checks speak of the classes above.
        from sim.cohort.validate import validate

        validate(self)

    def outcome(self, name: str) -> Outcome:
        """The outcome of that name, or a refusal that lists those the cohort has."""
        one_of("task.outcome", name, self.outcomes, f"These are the outcomes of cohort {self.name!r}.")
        return self.outcomes[name]

    def events(self, name: str) -> NDArray[np.bool_]:
        """Whether the outcome happened, per row; bool [R]."""
        outcome = self.outcome(name)
        column = outcome.label if isinstance(outcome, Binary) else outcome.event
        return self.table[column].to_numpy(dtype=bool)

    def derive(self, table: pd.DataFrame) -> pd.DataFrame:
        """A changed table of this cohort with the derived columns made anew."""
        return table if self.derived is None else table.assign(**self.derived(table))

    @cached_property
    def digest(self) -> str:
        """Fingerprint of every observed cell, for the run id; the order of the rows does not matter."""
        rows = np.sort(pd.util.hash_pandas_object(self.table, index=False).to_numpy())
        head = repr(
            (self.name, sorted(self.outcomes.items()), sorted(self.predictors.items()), list(self.table.columns))
        )
        return hashlib.blake2b(head.encode() + rows.tobytes(), digest_size=16).hexdigest()


@dataclass
class Source:
    """Where a cohort comes from: the settings of one entry of the `cohort` config group."""

    def load(self, seed: int) -> Cohort:
        """Patients of this source; a source that draws nothing ignores the seed."""
        raise NotImplementedError
