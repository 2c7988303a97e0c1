"""Outcomes: what a task may learn to predict, and why some cannot be learned."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools, Floats


@dataclass(frozen=True)
class Binary:
    """A yes-or-no outcome."""

    label: str  # bool column; or pandas' nullable boolean, where NA = not known


@dataclass(frozen=True)
class Survival:
    """Time to an event or to the end of follow-up."""

    time_days: str  # float column, > 0
    event: str  # bool column, True = it happened


@dataclass(frozen=True)
class Categorical:
    """An outcome that is one of several classes."""

    label: str  # pandas categorical column; NA = not known of this patient


@dataclass(frozen=True)
class Numeric:
    """A measurement."""

    value: str  # float column; NaN = not known of this patient


@dataclass(frozen=True)
class Count(Numeric):
    """How often something happened: whole numbers from 0."""


@dataclass(frozen=True)
class Unlearnable:
    """Why an outcome cannot be learned, unless one of `columns` is among the predictors and varies.

    Two cases: the cohort lacks the outcome (no `columns`), or a simulator draws it from `columns` alone, so that given
    any other column it is chance.
    """

    columns: tuple[str, ...]  # columns that the outcome depends on; empty = no column helps
    why: str  # the reason, and what to do instead


Outcome = Binary | Categorical | Survival | Numeric
Kind = type[Binary] | type[Categorical] | type[Survival] | type[Numeric]
SPLITS = ("train", "valid", "test")  # the side of the split that a patient is on
DAYS_PER_YEAR = 365.25  # times are recorded in days; a year is a mean Julian year


def above(value: Floats, counts: bool) -> Bools:
    """Which rows of a numeric outcome count as its event: counts above 0, else numbers above the median; bool [R]."""
    return np.asarray(value > (0.0 if counts else float(np.nanmedian(value))))
