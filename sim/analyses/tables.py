"""Answers: tables of numbers, what crossed the wire, a figure; and several seeds of one question put together."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.analyses.sums import Wire
from sim.stats.intervals import intervals

ESTIMATE = ("estimate", "low", "high", "truth")  # columns of a table of estimates; truth is NaN where not known
Shown = Callable[[float], str]


def points(value: float) -> str:
    """A difference of chances in percentage points."""
    return signed(100 * value)


def percent(value: float) -> str:
    """A share; what rounds to zero is 0.0."""
    return f"{round(100 * value, 1) + 0.0:.1f} %"


def signed(value: float) -> str:
    """A change in percent; what rounds to zero is +0.0."""
    return f"{round(value, 1) + 0.0:+.1f}"


def log_odds(value: float) -> str:
    """A coefficient of a logistic regression."""
    return f"{value:+.3f}"


def two(value: float) -> str:
    """A number between 0 and 1, or a count that is a mean."""
    return f"{value:.2f}"


def count(value: float) -> str:
    """A count, or the mean of counts."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def size(value: float) -> str:
    """A number of bytes, or the mean of such."""
    return f"{value:,.0f}"


@dataclass(frozen=True)
class Part:
    """One table of an answer: its first column names the row, the others are numbers shown by `shown`."""

    title: str
    frame: pd.DataFrame
    shown: Mapping[str, Shown]  # by column; the columns of ESTIMATE are all shown as `estimate` is

    def cell(self, column: str, value: object) -> str:
        """A cell as text; a dash where there is no number."""
        if not isinstance(value, float | int | np.number):
            return str(value)
        if math.isnan(value):
            return "–"
        show = self.shown.get(column) or self.shown["estimate"]
        return show(float(value))


@dataclass(frozen=True)
class Answer:
    """What an analysis says about one cohort."""

    parts: tuple[Part, ...]
    wires: Mapping[str, Wire]  # what crossed the wire, step by step
    notes: tuple[str, ...]


def together(answers: Sequence[Answer]) -> list[Part]:
    """The tables of several seeds as one: means, and for estimates bias with its interval and how often truth is held.

    A row that not every seed has, such as a site without an estimate, is averaged over the seeds that have it.
    """
    if len(answers) == 1:
        return list(answers[0].parts)
    return [pooled([answer.parts[at] for answer in answers]) for at in range(len(answers[0].parts))]


def pooled(parts: Sequence[Part]) -> Part:
    """One table over its seeds."""
    first = parts[0].frame.columns[0]
    every = pd.concat([part.frame for part in parts])
    grouped = every.groupby(first, sort=False)
    mean = grouped.mean(numeric_only=True)
    shown = dict(parts[0].shown)
    if set(ESTIMATE) <= set(every.columns):
        held = (every["low"] <= every["truth"]) & (every["truth"] <= every["high"])
        known = every["truth"].notna() & every["estimate"].notna()
        mean["bias"], mean["bias low"], mean["bias high"] = np.nan, np.nan, np.nan
        for name, rows in every.assign(off=every["estimate"] - every["truth"]).groupby(first, sort=False):
            off = rows["off"].dropna().to_numpy(np.float64)
            if len(off):
                found = intervals(off[:, None])
                mean.loc[name, ["bias", "bias low", "bias high"]] = [*map(float, np.ravel(found[:3]))]
        mean["truth held"] = held.where(known).astype(float).groupby(every[first], sort=False).mean()
        mean["seeds"] = every["estimate"].notna().groupby(every[first], sort=False).sum().astype(float)
        mean = mean.drop(columns=["low", "high"])
        shown |= dict.fromkeys(("bias", "bias low", "bias high"), shown["estimate"])
        shown |= {"truth held": percent, "seeds": count}
    title = f"{parts[0].title}: means over {len(parts)} seeds"
    return Part(title, mean.reset_index(), shown)
