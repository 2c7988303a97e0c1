"""Columns of a cohort as facts about its patients: one level, or one number, per patient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.cohort.ordered import column_of, ordered
from sim.cohort.table import Cohort
from sim.lazy import pd
from sim.partition.redraw import LabelledPatients

MOST = 100  # most levels of a column by which patients are assigned
GAP = "not recorded"


class Levels(NamedTuple):
    """Level of every patient in a column."""

    code: Ints  # [N] index in names; -1 = not recorded in any row
    names: tuple[str, ...]  # in the order of the categories, or sorted

    @property
    def share(self) -> Floats:
        """Share of every level among the patients who have one, [C]."""
        counts = np.bincount(self.code[self.code >= 0], minlength=len(self.names)).astype(np.float64)
        return np.asarray(counts / max(counts.sum(), 1.0))


def level_codes(series: pd.Series) -> tuple[Ints, tuple[str, ...]]:
    """Code of every row, [R], -1 where not recorded, and the levels: categories in their order, other values sorted."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy().astype(np.int64), tuple(map(str, series.cat.categories))
    codes, names = pd.factorize(series, sort=True)
    return codes.astype(np.int64), tuple(f"{name:g}" if isinstance(name, float) else str(name) for name in names)


def patient_levels(cohort: Cohort, column: str, setting: str, patients: LabelledPatients) -> Levels:
    """Level of every patient; one with several rows counts with the highest. Refuses more than MOST levels."""
    code, names = level_codes(column_of(cohort, column, setting))
    if len(names) > MOST:
        raise Refused(
            f"{setting}={column!r}: {len(names)} different values; allowed at most {MOST}: a category or a flag."
        )
    highest = np.full(len(patients.word), -1, dtype=np.int64)
    np.maximum.at(highest, patients.inverse, code)
    return Levels(highest, names)


def dealt_classes(cohort: Cohort, outcome: str, by: str, patients: LabelledPatients) -> Levels:
    """Classes of a label partition: levels of the column `by`, missing values as one more; if empty, of the outcome.

    Only classes that occur; refuses a single one.
    """
    code, names = patient_levels(cohort, by, "partition.by", patients) if by else Levels(patients.kind, patients.names)
    if (code < 0).any():
        code, names = np.where(code < 0, len(names), code), (*names, GAP)
    occurring, code = np.unique(code, return_inverse=True)
    if len(occurring) < 2:
        raise Refused(
            f"partition.by={by!r}: every patient of cohort {cohort.name!r} has {names[occurring[0]]!r}"
            f"{'' if by else f' for outcome {outcome!r}'}, so it cannot divide the patients. Name another column"
            f"{', or leave it empty for the outcome' if by else ''}."
        )
    return Levels(code.astype(np.int64), tuple(names[c] for c in occurring))


def patient_numbers(
    cohort: Cohort, column: str, setting: str, patients: LabelledPatients, *, raw: bool = False
) -> Floats:
    """Number of every patient, [N]: highest of their rows, zero mean and unit variance over patients unless `raw`.

    Ordered levels count 0, 1, 2 and dates in days. Not recorded is 0, the mean (NaN if raw); a constant is all 0.
    """
    value = ordered(cohort, column, setting)
    highest = np.full(len(patients.word), np.nan)
    np.fmax.at(highest, patients.inverse, value)
    return highest if raw else standardised(highest)


def standardised(value: Floats) -> Floats:
    """Values with zero mean and unit variance; NaN becomes 0, and so does a constant; [N] -> [N]."""
    known = value[~np.isnan(value)]
    sd = known.std() if len(known) else 0.0
    return np.nan_to_num((value - known.mean()) / sd, nan=0.0) if sd > 0 else np.zeros_like(value)
