"""Typed columns from the text of a sheet: numbers, days, categories, booleans."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from sim.checks import brief
from sim.cohort.encode import HUGE
from sim.cohort.tabular.rule import GRAMMAR, Rule
from sim.cohort.tabular.sheet import Sheet, with_points
from sim.lazy import pd

# Not "01": a code with a leading zero is a name. Not 16 digits: above 2**53 two codes could become one number.
PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,6})?")

ISO_DAY = r"^(\d{4}-\d{2}-\d{2})(?:[T ].*)?$"


def read_numbers(sheet: Sheet, column: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where a cell is empty or is none; float [R]."""
    return numbers_of(sheet.cells[column], sheet.decimal)


def numbers_of(text: pd.Series, decimal: str) -> NDArray[np.float64]:
    """Cells as numbers, NaN where one is empty or is none; text [R] -> float [R].

    Where the decimal mark is a comma, a cell with a point is none: it may be a thousands separator.
    """
    points = with_points(text, decimal)
    if decimal != ".":
        points = points.where(~text.str.contains(".", regex=False), "")
    return np.asarray(pd.to_numeric(points, errors="coerce"), dtype=np.float64)


def unread(sheet: Sheet, column: str) -> NDArray[np.bool_]:
    """Which cells of a column are recorded and no number; bool [R]."""
    gap = np.isnan(read_numbers(sheet, column))
    return gap & (sheet.cells[column] != "").to_numpy() if gap.any() else gap  # the text costs as much as the number


def number(sheet: Sheet, column: str, remedy: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where not recorded; float [R]. Refuses text and infinities."""
    value = read_numbers(sheet, column)
    if np.isnan(value).any():
        sheet.refuse_first(column, unread(sheet, column), "is not a number", remedy)
    wrong = ~(np.abs(value) <= HUGE) & ~np.isnan(value)
    why = f"is not a finite number up to {HUGE:g}"
    sheet.refuse_first(column, wrong, why, "Correct it, change its unit, or leave the cell empty.")
    return value


def date_days(sheet: Sheet, column: str) -> NDArray[np.float64]:
    """A column of days as days since 1970-01-01, NaN where not recorded; float [R]. The day is taken as written."""
    text = sheet.cells[column]
    days = days_of(text)
    wrong = np.isnan(days) & (text != "").to_numpy()
    sheet.refuse_first(column, wrong, "is no day", "Write days as 2015-12-31, or leave the cell empty.")
    return days


def days_of(text: pd.Series) -> NDArray[np.float64]:
    """Cells as days since 1970-01-01, NaN where one is empty or is none; text [R] -> float [R]."""
    day = pd.to_datetime(text.str.extract(ISO_DAY, expand=False), format="%Y-%m-%d", errors="coerce")
    days = (day - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def category(sheet: Sheet, column: str) -> pd.Categorical:
    """A column as categories [R]; the levels are those of all sites together, sorted (numerically if all are numbers).

    Numbers are written in one form, because one hospital writes 1 and another 1.0 for the same level.
    """
    text = sheet.with_points(column)
    levels = sorted(level for level in text.unique() if level)
    if all(map(is_plain_number, levels)):
        written = {level: f"{float(level) + 0.0:.15g}" for level in levels}  # + 0.0: -0 is 0
        text = text.map(written | {"": ""})
        levels = sorted(set(written.values()), key=float)
    return pd.Categorical(text, categories=levels)


def is_plain_number(text: str) -> bool:
    """Whether a level is a number that 15 digits hold, so that two levels cannot become one."""
    return bool(PLAIN_NUMBER.fullmatch(text)) and sum(map(str.isdigit, text)) <= 15


def boolean(sheet: Sheet, column: str, rule: Rule, setting: str) -> NDArray[np.bool_]:
    """Whether the rule of `setting` holds, bool [R]; refuses cells that are missing or that the rule cannot judge."""
    text = sheet.with_points(column)
    remedy = "Fill it in, or set cohort.unlabelled=drop to leave such rows out."
    sheet.refuse_first(column, (text == "").to_numpy(), "is not recorded, and an outcome must be", remedy)
    why = f"is neither true nor false by {setting}={rule.text!r}"
    most = ", ".join(f"{brief(word)} {count}" for word, count in text.value_counts().head(6).items())
    named = f"to a rule such as {rule.with_all_words(text)!r}" if rule.sign else "to a rule"
    remedy = f"The column holds {most}. Correct the cell, or set {setting} {named}; allowed {GRAMMAR}."
    sheet.refuse_first(column, ~rule.readable(text), why, remedy)
    return rule.holds(text)
