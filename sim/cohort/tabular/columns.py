"""Typed columns from the text of a sheet: numbers, categories, booleans."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import brief
from sim.cohort.encode import HUGE
from sim.cohort.tabular.rule import GRAMMAR, Rule
from sim.cohort.tabular.sheet import Sheet

# Not "01": a code with a leading zero is a name. Not 16 digits: above 2**53 two codes could become one number.
PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,6})?")


def number(sheet: Sheet, column: str, remedy: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where not recorded; float [R]. Refuses text and infinities."""
    text = sheet.cells[column]
    value = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    sheet.refuse_first(column, np.isnan(value) & (text != "").to_numpy(), "is not a number", remedy)
    wrong = ~(np.abs(value) <= HUGE) & ~np.isnan(value)
    why = f"is not a finite number up to {HUGE:g}"
    sheet.refuse_first(column, wrong, why, "Correct it, change its unit, or leave the cell empty.")
    return value


def category(sheet: Sheet, column: str) -> pd.Categorical:
    """A column as categories [R]; the levels are those of all sites together, sorted (numerically if all are numbers).

    Numbers are written in one form, because one hospital writes 1 and another 1.0 for the same level.
    """
    text = sheet.cells[column]
    levels = sorted(level for level in text.unique() if level)
    if all(PLAIN_NUMBER.fullmatch(level) for level in levels):
        text = text.map({level: f"{float(level):.15g}" for level in levels} | {"": ""})
        levels = sorted({f"{float(level):.15g}" for level in levels}, key=float)
    return pd.Categorical(text, categories=levels)


def boolean(sheet: Sheet, column: str, rule: Rule, setting: str) -> NDArray[np.bool_]:
    """Whether the rule of `setting` holds, bool [R]; refuses cells that are missing or that the rule cannot judge."""
    text = sheet.cells[column]
    remedy = "Fill it in, or set cohort.unlabelled=drop to leave such rows out."
    sheet.refuse_first(column, (text == "").to_numpy(), "is not recorded, and an outcome must be", remedy)
    why = f"is neither true nor false by {setting}={rule.text!r}"
    most = ", ".join(f"{brief(word)} {count}" for word, count in text.value_counts().head(6).items())
    named = f"to a rule such as {rule.with_all_words(text)!r}" if rule.sign else "to a rule"
    remedy = f"The column holds {most}. Correct the cell, or set {setting} {named}; allowed {GRAMMAR}."
    sheet.refuse_first(column, ~rule.readable(text), why, remedy)
    return rule.holds(text)
