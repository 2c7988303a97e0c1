"""A cohort: one table of patients as the hospitals recorded them, and, if synthetic, the truth kept apart."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused, one_of
from sim.cohort.outcomes import Binary, Categorical, Ground, Kind, Outcome, Survival
from sim.cohort.patients import Patients
from sim.cohort.validate import validate


@dataclass(frozen=True)
class Cohort:
    """Patients, what is predicted about them, and from which columns.

    table       one row a record: `patient` (unique unless a patient has several records), `site` (str), the columns of
                `outcomes` and of `predictors`. Predictors are float, int or bool (NaN = not recorded) or pandas
                categoricals whose levels are the same at every site.
    outcomes    name -> columns of the outcome
    predictors  name of the outcome -> predictor columns, none of which is known only after the outcome
    truth       same rows, synthetic cohorts only; holds for each Binary or Survival a column of its name with the best
                score there is (probability, log-risk). No algorithm sees it.
    split       column with "train", "valid" or "test" per row when the cohort brings its own split
    grounds     name of an outcome -> what it rests on: for one that a simulator draws from little, and for one that the
                cohort lacks, with the reason
    derived     columns that follow from others as they are recorded, from a table; None = no such columns
    effects     what truly acts on whom, synthetic cohorts only: one row a (cancer, term), see `truths.effects`
    """

    name: str
    table: pd.DataFrame
    outcomes: Mapping[str, Outcome]
    predictors: Mapping[str, tuple[str, ...]]
    truth: pd.DataFrame | None = None
    split: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # how it was made, for the run record
    grounds: Mapping[str, Ground] = field(default_factory=dict)
    derived: Callable[[pd.DataFrame], Mapping[str, pd.Series]] | None = field(default=None, repr=False, compare=False)
    effects: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        validate(self)

    def outcome(self, name: str) -> Outcome:
        """The outcome of that name, or a refusal that lists those the cohort has."""
        if name not in self.outcomes and name in self.grounds:
            raise Refused(f"task.outcome={name!r} cannot be learned on cohort {self.name!r}: {self.grounds[name].why}")
        one_of("task.outcome", name, self.outcomes, f"These are the outcomes of cohort {self.name!r}.")
        return self.outcomes[name]

    def classes(self, name: str) -> NDArray[np.int64]:
        """Class of every row, from 0: the level of a Categorical, else 1 where the event happened; int [R].

        Where that is not known: 0, see `about`.
        """
        outcome = self.outcome(name)
        if isinstance(outcome, Categorical):
            return np.maximum(self.table[outcome.label].cat.codes.to_numpy(dtype=np.int64), 0)
        column = outcome.label if isinstance(outcome, Binary) else outcome.event
        return self.table[column].to_numpy(dtype=bool, na_value=False).astype(np.int64)

    def levels(self, name: str) -> tuple[str, ...]:
        """Names of the classes of a Categorical; none for another outcome."""
        outcome = self.outcome(name)
        return tuple(map(str, self.table[outcome.label].cat.categories)) if isinstance(outcome, Categorical) else ()

    def events(self, name: str) -> NDArray[np.bool_]:
        """Whether the outcome happened, per row; bool [R]. Of a Categorical: any class but the first."""
        return self.classes(name) > 0

    def known(self, name: str) -> NDArray[np.bool_]:
        """Whether the outcome is known, per row; bool [R]."""
        outcome = self.outcome(name)
        if isinstance(outcome, Survival):
            return np.ones(len(self.table), dtype=bool)
        return self.table[outcome.label].notna().to_numpy()

    def about(self, name: str) -> "Cohort":
        """The patients of whom the outcome is known: whom a task can learn it from."""
        known = self.known(name)
        if known.all():
            return self
        table = self.table[known].reset_index(drop=True)
        truth = None if self.truth is None else self.truth[known].reset_index(drop=True)
        predictors = {name: tuple(column for column in self.predictors[name] if table[column].notna().any())}
        notes = {**self.notes, "not known": f"{name} of {int((~known).sum())} of {len(known)} rows, left out"}
        outcomes = {name: self.outcomes[name]}
        return replace(self, table=table, truth=truth, outcomes=outcomes, predictors=predictors, notes=notes)

    def derive(self, table: pd.DataFrame) -> pd.DataFrame:
        """A changed table of this cohort with the derived columns made anew."""
        return table if self.derived is None else table.assign(**self.derived(table))

    @cached_property
    def patients(self) -> Patients:
        """Whose row is whose; hashed and sorted once, for partition, skew, split and analyses ask."""
        return Patients.of(pd.util.hash_array(self.table["patient"].to_numpy()))

    @cached_property
    def digest(self) -> str:
        """Fingerprint of every observed cell, for the record of a run; the order of the rows does not matter."""
        rows = np.sort(pd.util.hash_pandas_object(self.table, index=False).to_numpy())
        head = repr(
            (self.name, sorted(self.outcomes.items()), sorted(self.predictors.items()), list(self.table.columns))
        )
        return hashlib.blake2b(head.encode() + rows.tobytes(), digest_size=16).hexdigest()


@dataclass
class Source:
    """Where a cohort comes from: the settings of one entry of the `cohort` config group."""

    places: ClassVar[tuple[str, ...]] = ()  # settings that say where files lie: a path, or a mapping to paths

    def card(self) -> Path | None:
        """The card beside the user's own data; the cards of what ships lie in datasets/."""
        return None

    def fingerprint(self, seed: int) -> str:
        """What decides the rows beside settings, seed and code: the contents of the files that `load` reads.

        It is part of the name of a run, so it must not load the patients. A source that reads files overrides it, with
        `sim.files.fingerprint`.
        """
        return ""

    def knows_truth(self, kind: Kind) -> bool:
        """Whether the cohort will hold the best possible score of its outcomes of this kind, see `Cohort.truth`."""
        return False

    def load(self, seed: int) -> Cohort:
        """Patients of this source; a source that draws nothing ignores the seed."""
        raise NotImplementedError
