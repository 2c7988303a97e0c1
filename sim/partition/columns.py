"""Columns of a cohort as facts about its patients: a level, or a number, each patient one."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.cohort.ordered import column_of, ordered
from sim.cohort.table import Cohort
from sim.partition.redraw import People

MOST = 100  # levels of a column that patients are dealt by
GAP = "not recorded"


class Levels(NamedTuple):
    """A level for every patient."""

    code: Ints  # [N] index in names; -1 = not recorded in any row
    names: tuple[str, ...]  # in the order of the categories, or sorted

    @property
    def share(self) -> Floats:
        """Share of every level among the patients who have one, [C]."""
        counts = np.bincount(self.code[self.code >= 0], minlength=len(self.names)).astype(np.float64)
        return np.asarray(counts / max(counts.sum(), 1.0))


def coded(series: pd.Series) -> tuple[Ints, tuple[str, ...]]:
    """Code of every row, -1 where not recorded, and the levels: those of a categorical as they are, else sorted."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy().astype(np.int64), tuple(map(str, series.cat.categories))
    codes, names = pd.factorize(series, sort=True)
    return codes.astype(np.int64), tuple(f"{name:g}" if isinstance(name, float) else str(name) for name in names)


def levels(cohort: Cohort, column: str, setting: str, group: People) -> Levels:
    """Level of every patient; one with several rows counts with the highest."""
    code, names = coded(column_of(cohort, column, setting))
    if len(names) > MOST:
        raise Refused(
            f"{setting}={column!r}: {len(names)} different values; allowed at most {MOST}: a category or a flag."
        )
    highest = np.full(len(group.word), -1, dtype=np.int64)
    np.maximum.at(highest, group.back, code)
    return Levels(highest, names)


def classes(cohort: Cohort, outcome: str, by: str, group: People) -> Levels:
    """What a label partition deals by: the levels of `partition.by`, gaps as one more, or if empty the outcome."""
    code, names = levels(cohort, by, "partition.by", group) if by else Levels(group.kind, group.names)
    if (code < 0).any():
        code, names = np.where(code < 0, len(names), code), (*names, GAP)
    there, code = np.unique(code, return_inverse=True)
    if len(there) < 2:
        raise Refused(
            f"partition.by={by!r}: every patient of cohort {cohort.name!r} has {names[there[0]]!r}"
            f"{'' if by else f' for outcome {outcome!r}'}, so there is nothing to deal by. Name another column"
            f"{', or leave it empty for the outcome' if by else ''}."
        )
    return Levels(code.astype(np.int64), tuple(names[at] for at in there))


def number(cohort: Cohort, column: str, setting: str, group: People, *, raw: bool = False) -> Floats:
    """Number of every patient, [N]: highest of the rows, zero mean and unit variance over patients unless `raw`.

    Ordered levels count 0, 1, 2 and dates in days. Not recorded is 0, the mean (NaN if raw); a constant is all 0.
    """
    value = ordered(cohort, column, setting)
    highest = np.full(len(group.word), np.nan)
    np.fmax.at(highest, group.back, value)
    return highest if raw else standard(highest)


def standard(value: Floats) -> Floats:
    """Zero mean, unit variance; NaN becomes 0, as does a constant; [N]."""
    there = value[~np.isnan(value)]
    spread = there.std() if len(there) else 0.0
    return np.nan_to_num((value - there.mean()) / spread, nan=0.0) if spread > 0 else np.zeros_like(value)
