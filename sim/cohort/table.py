"""Cohort: one table of patients as the hospitals recorded them and, if synthetic, the truth in another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, one_of
from sim.cohort.outcomes import Binary, Categorical, Count, Kind, Numeric, Outcome, Survival, Unlearnable, above
from sim.cohort.patients import Patients
from sim.cohort.validate import validate
from sim.lazy import pd


@dataclass(frozen=True)
class Cohort:
    """Patients, what is predicted about them, and from which columns.

    table        one row per record: `patient` (unique unless a patient has several records), `site` (str), the columns
                 of `outcomes` and of `predictors`. Predictors are float, int or bool (NaN = not recorded) or pandas
                 categoricals whose levels are the same at every site.
    outcomes     name -> columns of the outcome
    predictors   name of the outcome -> predictor columns, none of which is known only after the outcome
    truth        synthetic cohorts only, same rows: for each Binary or Survival outcome a column of its name with the
                 best possible score (probability, log-risk). No algorithm sees it.
    split        column with "train", "valid" or "test" per row when the cohort brings its own split
    unlearnable  name of an outcome -> why it cannot be learned: one that the cohort lacks, or that a simulator draws
                 from few columns
    derived      function of a table that computes the columns derived from others; None = no such columns
    effects      synthetic cohorts only: the true effects, one row per (cancer, term), see `known_effects.effects`
    """

    name: str
    table: pd.DataFrame
    outcomes: Mapping[str, Outcome]
    predictors: Mapping[str, tuple[str, ...]]
    truth: pd.DataFrame | None = None
    split: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)  # how it was made, for the run record
    unlearnable: Mapping[str, Unlearnable] = field(default_factory=dict)
    derived: Callable[[pd.DataFrame], Mapping[str, pd.Series]] | None = field(default=None, repr=False, compare=False)
    effects: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        validate(self)

    def outcome(self, name: str) -> Outcome:
        """The outcome of that name; a refusal says why it cannot be learned, or lists the outcomes there are."""
        if name not in self.outcomes and name in self.unlearnable:
            raise Refused(
                f"task.outcome={name!r} cannot be learned on cohort {self.name!r}: {self.unlearnable[name].why}"
            )
        one_of("task.outcome", name, self.outcomes, f"These are the outcomes of cohort {self.name!r}.")
        return self.outcomes[name]

    def classes(self, name: str) -> NDArray[np.int64]:
        """Class of every row, int [R]: the level of a Categorical from 0, else 1 if the event happened and 0 if not.

        The event of a Numeric is `above`. 0 where it is not known; `where_known` leaves such rows out.
        """
        outcome = self.outcome(name)
        if isinstance(outcome, Categorical):
            return np.maximum(self.table[outcome.label].cat.codes.to_numpy(dtype=np.int64), 0)
        if isinstance(outcome, Numeric):
            return above(self.table[outcome.value].to_numpy(dtype=np.float64), isinstance(outcome, Count)).astype(
                np.int64
            )
        column = outcome.label if isinstance(outcome, Binary) else outcome.event
        return self.table[column].to_numpy(dtype=bool, na_value=False).astype(np.int64)

    def levels(self, name: str) -> tuple[str, ...]:
        """Names of the classes of a Categorical; empty for another outcome."""
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
        column = outcome.value if isinstance(outcome, Numeric) else outcome.label
        return self.table[column].notna().to_numpy()

    def where_known(self, name: str) -> Cohort:
        """The cohort restricted to rows whose outcome is known, with this outcome alone."""
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
        """A changed table of this cohort with its derived columns computed again."""
        return table if self.derived is None else table.assign(**self.derived(table))

    @cached_property
    def patients(self) -> Patients:
        """Which rows belong to the same patient; hashed and sorted once, as many stages need it."""
        return Patients.of(pd.util.hash_array(self.table["patient"].to_numpy()))

    @cached_property
    def digest(self) -> str:
        """Fingerprint of every observed cell, for the record of a run; independent of the order of the rows."""
        rows = np.sort(pd.util.hash_pandas_object(self.table, index=False).to_numpy())
        head = repr(
            (self.name, sorted(self.outcomes.items()), sorted(self.predictors.items()), list(self.table.columns))
        )
        return hashlib.blake2b(head.encode() + rows.tobytes(), digest_size=16).hexdigest()


@dataclass
class Source:
    """Settings of one entry of the `cohort` config group, from which the cohort is loaded."""

    draws: ClassVar[bool] = False  # whether every seed draws patients of its own; else seeds split the same ones again
    places: ClassVar[tuple[str, ...]] = ()  # settings that say where files lie: a path, or a mapping to paths

    def card(self) -> Path | None:
        """Path of the card beside the user's own data, if any; cards of what ships are in datasets/."""
        return None

    def fingerprint(self, seed: int) -> str:
        """What determines the rows in addition to settings, seed and code: the contents of the files that `load` reads.

        It is part of the name of a run, so it must not load the patients. A source that reads files overrides it, with
        `sim.files.fingerprint`.
        """
        return ""

    def knows_truth(self, kind: Kind) -> bool:
        """Whether the cohort will hold the best possible score of its outcomes of this kind, see `Cohort.truth`."""
        return False

    def load(self, seed: int) -> Cohort:
        """The cohort; a source that draws nothing ignores the seed."""
        raise NotImplementedError
