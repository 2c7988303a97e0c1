"""Refusal of columns that are to be numbers and hold text: all at once, each with the setting that would read it."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np

from sim.checks import MAX_WORDS, brief
from sim.cohort.tabular.columns import ISO_DAY, unread
from sim.cohort.tabular.sheet import COMMA_NUMBER, Sheet
from sim.lazy import pd

CODES = 20  # words up to which a column of a large table is taken for codes
COMMA = "The comma is a decimal mark? Set 'cohort.decimal=\",\"' (and another cohort.separator)."
POINT = "cohort.decimal=',' is set, but here the number has a point. Write it with a comma, or leave the setting out."
DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ].*)?")


class Reading(Enum):
    """How a column that holds text could be used; the value is the setting that lists such columns."""

    codes = "categorical"
    days = "dates"
    names = "drop"
    comma = "decimal"
    point = "point"
    numbers = "missing_marks"


def reading(sheet: Sheet, column: str) -> Reading:
    """What the cells that are no numbers look like."""
    text = sheet.cells[column]
    recorded, odd = text[text != ""], text[unread(sheet, column)]
    if sheet.decimal == "." and bool(odd.str.fullmatch(COMMA_NUMBER).mean() > 0.5):
        return Reading.comma
    if sheet.decimal != "." and bool(pd.to_numeric(odd, errors="coerce").notna().mean() > 0.5):
        return Reading.point
    if odd.str.fullmatch(DATE).mean() > 0.5:
        return Reading.days
    if len(odd) * 2 < len(recorded):
        return Reading.numbers
    many = odd.nunique() > max(CODES, len(odd) // 10)
    return Reading.names if many else Reading.codes


def refuse_text(sheet: Sheet, columns: Sequence[str], listed: Mapping[str, Sequence[str]]) -> None:
    """Refuse the columns that cannot be read as numbers: the first with its cell, and the settings that read them all.

    `listed` are columns that these settings (`categorical`, `dates`, `drop`) name already.
    """
    found = {column: reading(sheet, column) for column in columns if unread(sheet, column).any()}
    if not found:
        return
    first, *others = found
    remedy = advice(sheet, first, found[first])
    if others:
        shown = ", ".join(f"{name!r} ({brief(first_odd(sheet, name))})" for name in others[:MAX_WORDS])
        more = f" and {len(others) - MAX_WORDS} more" if len(others) > MAX_WORDS else ""
        settings = " ".join(
            f"'cohort.{kind.value}=[{', '.join([*listed[kind.value], *names])}]'"
            for kind in (Reading.codes, Reading.days, Reading.names)
            if (names := [name for name, one in found.items() if one is kind])
        )
        # A column of words may be codes or free text: the user knows, so the sentence asks.
        remedy += f" {len(others)} more columns hold text: {shown}{more}."
        remedy += f" Perhaps {settings} for all of them." if settings else ""
    sheet.refuse_first(first, unread(sheet, first), "is not a number", remedy)


def first_odd(sheet: Sheet, column: str) -> str:
    """The first cell of a column that is no number."""
    return str(sheet.cells[column].iloc[int(np.argmax(unread(sheet, column)))])


def advice(sheet: Sheet, column: str, kind: Reading) -> str:
    """What to do about a column that holds text."""
    if kind is Reading.comma:
        return COMMA
    if kind is Reading.point:
        return POINT
    if kind is Reading.days:
        iso = bool(re.match(ISO_DAY, first_odd(sheet, column)))
        form = "" if iso else " after writing them as 2015-12-31"
        return f"It is a day: list the column in cohort.dates{form} (read as a number of days), or in cohort.drop."
    if kind is Reading.numbers:
        words = sheet.cells[column][unread(sheet, column)].value_counts().head(3).index
        marks = ", ".join(map(repr, map(str, words)))
        return (
            f"Most cells are numbers: if {marks} marks a gap, add it to cohort.missing_marks; else correct it, or "
            "add the column to cohort.categorical."
        )
    if kind is Reading.names:
        count = sheet.cells[column].nunique()
        codes = "(or, if they are codes, in cohort.categorical)"
        return f"It holds {count} different words: list the column in cohort.drop {codes}."
    return "Add the column to cohort.categorical, or the mark of a gap to cohort.missing_marks."
