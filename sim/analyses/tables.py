"""Answers: tables of numbers, what was sent, notes; and the answers of several seeds combined into one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.exact.sums import Traffic
from sim.stats.intervals import intervals
from sim.text import NOT_KNOWN, count, number, percent, signed

ESTIMATE = ("estimate", "low", "high", "truth")  # columns of a table of estimates; truth is NaN where not known
Format = Callable[[float], str]


def points(value: float) -> str:
    """A difference of two chances in percentage points."""
    return signed(100 * value, 1)


def annual_change(value: float) -> str:
    """An annual change in percent."""
    return signed(value, 1)


def two_decimals(value: float) -> str:
    """A number of about 1."""
    return number(value, 2)


def whole_number(value: float) -> str:
    """A number of bytes, or the mean of such."""
    return number(value, 0)


@dataclass(frozen=True)
class AnswerTable:
    """One table of an answer: its first column names the row, the others are numbers."""

    title: str
    frame: pd.DataFrame
    formats: Mapping[str, Format]  # how a column is written; the columns of ESTIMATE are all written as `estimate` is

    def cell(self, column: str, value: object) -> str:
        """A cell as text; a dash where there is no number."""
        if not isinstance(value, float | int | np.number):
            return str(value)
        if math.isnan(value):
            return NOT_KNOWN
        write = self.formats.get(column) or self.formats["estimate"]
        return write(float(value))


@dataclass(frozen=True)
class Answer:
    """What an analysis says about one cohort."""

    tables: tuple[AnswerTable, ...]
    traffic: Mapping[str, Traffic]  # step of the analysis -> what one site sent and received in it
    notes: tuple[str, ...]


def over_seeds(answers: Sequence[Answer]) -> list[AnswerTable]:
    """The tables of several seeds as one each; see `table_over_seeds`. Those of one seed stay as they are."""
    if len(answers) == 1:
        return list(answers[0].tables)
    return [table_over_seeds([answer.tables[at] for answer in answers]) for at in range(len(answers[0].tables))]


def table_over_seeds(tables: Sequence[AnswerTable]) -> AnswerTable:
    """Means over seeds; of estimates also the bias with its interval and how often the interval held the truth.

    A row that not every seed has, such as a site without an estimate, is averaged over the seeds that have it.
    """
    first = tables[0].frame.columns[0]
    every = pd.concat([table.frame for table in tables])
    grouped = every.groupby(first, sort=False)
    mean = grouped.mean(numeric_only=True)
    formats = dict(tables[0].formats)
    if set(ESTIMATE) <= set(every.columns):
        covered = (every["low"] <= every["truth"]) & (every["truth"] <= every["high"])
        known = every["truth"].notna() & every["estimate"].notna()
        mean["bias"], mean["bias low"], mean["bias high"] = np.nan, np.nan, np.nan
        for name, rows in every.assign(error=every["estimate"] - every["truth"]).groupby(first, sort=False):
            error = rows["error"].dropna().to_numpy(np.float64)
            if len(error):
                bias = intervals(error[:, None])
                mean.loc[name, ["bias", "bias low", "bias high"]] = [*map(float, np.ravel(bias[:3]))]
        mean["truth held"] = covered.where(known).astype(float).groupby(every[first], sort=False).mean()
        mean["seeds"] = every["estimate"].notna().groupby(every[first], sort=False).sum().astype(float)
        mean = mean.drop(columns=["low", "high"])
        formats |= dict.fromkeys(("bias", "bias low", "bias high"), formats["estimate"])
        formats |= {"truth held": percent, "seeds": count}
    title = f"{tables[0].title}: means over {len(tables)} seeds"
    return AnswerTable(title, mean.reset_index(), formats)
