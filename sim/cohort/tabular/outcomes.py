"""Outcome columns of a sheet: a yes-or-no label, one of several classes, a number, a time with its event."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.cohort.tabular.columns import boolean, category, number, read_numbers
from sim.cohort.tabular.rule import parse
from sim.cohort.tabular.sheet import Sheet
from sim.lazy import pd

MAX_DAYS = 120 * DAYS_PER_YEAR  # a life: nobody is followed for longer
SAME_DAY = 0.5  # days


class Unit(Enum):
    """Unit of a time."""

    days = "days"
    weeks = "weeks"
    months = "months"  # DAYS_PER_YEAR / 12 days
    years = "years"


class ZeroTime(Enum):
    """What becomes of a row whose time is 0: an event or a last contact on the first day."""

    refuse = "refuse"
    drop = "drop"
    half_day = "half_day"  # the time is 0.5 days, as the import of records has it


DAYS = {Unit.days: 1.0, Unit.weeks: 7.0, Unit.months: DAYS_PER_YEAR / 12, Unit.years: DAYS_PER_YEAR}


def label(sheet: Sheet, column: str, positive: str) -> NDArray[np.bool_]:
    """Yes-or-no label, bool [R]; `positive` is the rule of a true one."""
    return boolean(sheet, column, parse("", positive), "cohort.positive")


def classes(sheet: Sheet, column: str) -> pd.Categorical:
    """Class of every row [R]; refuses a row without one."""
    remedy = "Fill it in, or set cohort.unlabelled=drop to leave such rows out."
    sheet.refuse_first(column, sheet.missing([column]), "is not recorded, and an outcome must be", remedy)
    return category(sheet, column)


def measured(sheet: Sheet, column: str, role: str) -> NDArray[np.float64]:
    """Number of every row, float [R]; refuses one that is not recorded, and of a count what is not whole from 0 on."""
    remedy = "Fill it in, or set cohort.unlabelled=drop to leave such rows out."
    sheet.refuse_first(column, sheet.missing([column]), "is not recorded, and an outcome must be", remedy)
    values = number(sheet, column, "Correct it, or add its mark of a gap to cohort.missing_marks.")
    if role == "count":
        wrong = (values < 0) | (values != np.round(values))
        sheet.refuse_first(column, wrong, "is no whole number from 0 on, as a count is", "Name it by cohort.value.")
    return values


def zero_times(sheet: Sheet, column: str) -> NDArray[np.bool_]:
    """Which rows have a time of 0, bool [R]."""
    return np.asarray(read_numbers(sheet, column) == 0)


def time_days(sheet: Sheet, column: str, unit: Unit, zero: ZeroTime = ZeroTime.refuse) -> NDArray[np.float64]:
    """Time to the event or to the end of follow-up in days, float [R]; refuses one outside (0, MAX_DAYS].

    A time of 0 is taken as half a day if `zero` says so.
    """
    time = number(sheet, column, "Correct it, or add its mark of a gap to cohort.missing_marks.")
    none = zero_times(sheet, column)
    days = np.where(none, SAME_DAY, time * DAYS[unit]) if zero is ZeroTime.half_day else time * DAYS[unit]
    why = f"is no time above 0 and up to {MAX_DAYS / DAYS[unit]:.0f} {unit.value}, a life"
    remedy = "Correct it or cohort.unit, or leave the row out (without a time: cohort.unlabelled=drop)."
    if none.any():
        remedy += " A time of 0: cohort.zero_time=half_day (0.5 days) or cohort.zero_time=drop."
    sheet.refuse_first(column, ~((days > 0) & (days <= MAX_DAYS)), why, remedy)
    return days


def event(sheet: Sheet, column: str, happened: str) -> NDArray[np.bool_]:
    """Whether the event happened at that time, bool [R]; `happened` is the rule of a true one."""
    return boolean(sheet, column, parse("", happened), "cohort.happened")
