"""Outcomes: what is known of a patient that a task may learn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Binary:
    """An outcome that happened or not."""

    label: str  # bool column; or pandas' nullable boolean, where NA = not known of this patient


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
class Ground:
    """What an outcome rests on, where its maker tells: in the light of any other column it is chance."""

    columns: tuple[str, ...]  # none: the cohort cannot teach it, whatever predicts
    why: str  # and what to do; said where none of the columns predicts


Outcome = Binary | Categorical | Survival
Kind = type[Binary] | type[Categorical] | type[Survival]
SPLITS = ("train", "valid", "test")  # sides of a patient
