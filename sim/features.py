"""Features: from recorded columns to numbers that every site scales alike, by sums a federation could compute.

One column at a time, so that a million rows need no second table beside the one that is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused

HUGE = 1e18  # its square still fits single precision

Floats = NDArray[np.float64]


class Scaling(Enum):
    """Whose statistics standardise a column."""

    federated = "federated"  # one mean and sd for all, from sums over the sites' training rows
    site = "site"  # each site its own training rows (FLamby, du Terrail et al., NeurIPS 2022)
    none = "none"


@dataclass(frozen=True)
class Placed:
    """Where the rows of a table go: row order[r] of the table becomes row r, and sites stand end to end.

    order  int [R]
    rows   int [S]: rows of each site
    train  int [S]: how many of them, the first ones, are for training
    """

    order: NDArray[np.int64]
    rows: NDArray[np.int64]
    train: NDArray[np.int64]

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether a row is for training, [R]."""
        first = np.cumsum(self.rows) - self.rows
        return np.arange(len(self.order)) < np.repeat(first + self.train, self.rows)

    def sums(self, values: Floats) -> Floats:
        """Sum at each site of a value for every training row, site after site; [sum of train] -> [S]."""
        owner = np.repeat(np.arange(len(self.train)), self.train)
        return np.bincount(owner, values, len(self.train)).astype(np.float64)


def encode(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Features from predictors, each a name and numbers or flags [R]; a number is NaN where it is not recorded.

    Categoricals become one flag a level but for the first. A column with gaps gets a flag for them, unless an earlier
    column has the very same gaps: two equal columns tell no more than one, and a regression could not part them.
    """
    told: set[bytes] = set()  # gaps that have a flag, a bit a row
    for column in columns:
        series = table[column]
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes = series.cat.codes.to_numpy()
            yield from ((f"{column}={word}", codes == at) for at, word in enumerate(series.cat.categories) if at)
            missing = codes < 0
        else:
            number = plain(series)
            yield column, number
            missing = np.isnan(number) if number.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if missing.any():
            gaps = np.packbits(missing).tobytes()
            if gaps not in told:
                yield f"{column} missing", missing
            told.add(gaps)


def plain(series: pd.Series) -> NDArray[np.generic]:
    """Flags, whole numbers or floats of a column [R]; NaN where there is none, or something else."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy()
    if not pd.api.types.is_numeric_dtype(series):
        series = pd.to_numeric(series.astype(object).where(series.notna(), None), errors="coerce")
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def features(
    table: pd.DataFrame, columns: Sequence[str], placed: Placed, scaling: Scaling
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names [D] and standardised values [R, D] of a table's predictors, rows where `placed` puts them."""
    found = list(encode(table, columns))
    x = np.empty((len(placed.order), len(found)), dtype=np.float32)
    for at, (name, values) in enumerate(found):
        column = values[placed.order].astype(np.float64)
        refuse_huge(name, column)
        x[:, at] = standardise(column, placed, scaling)
    return tuple(name for name, _ in found), x


def refuse_huge(name: str, column: Floats) -> None:
    """Refuse a column that single precision cannot hold once it is squared; [R]."""
    most = float(np.fmax.reduce(np.abs(column), initial=0.0))
    if most > HUGE:
        raise Refused(
            f"Column {name!r} holds {most:g}: allowed up to {HUGE:g}. Correct it, change its unit, or drop it."
        )


def standardise(column: Floats, placed: Placed, scaling: Scaling) -> Floats:
    """Zero mean, unit variance over training rows, from per-site sums; gaps become 0, the mean; [R] -> [R].

    Two exchanges of sums, as a federation would do it: counts and totals first, then squares about the mean.
    """
    if scaling is Scaling.none:
        return np.nan_to_num(column, nan=0.0)
    mine = column[placed.inside]
    gap = np.isnan(mine)
    count, total = placed.train - placed.sums(gap.astype(np.float64)), placed.sums(np.where(gap, 0.0, mine))
    if scaling is Scaling.federated:
        count, total = (np.full(len(part), part.sum()) for part in (count, total))
    mean = total / np.maximum(count, 1)
    squares = placed.sums(np.where(gap, 0.0, mine - np.repeat(mean, placed.train)) ** 2)
    if scaling is Scaling.federated:
        squares = np.full(len(squares), squares.sum())
    spread = np.sqrt(squares / np.maximum(count, 1))
    spread[spread == 0] = 1.0  # a constant column becomes all zeros
    scaled = (column - np.repeat(mean, placed.rows)) / np.repeat(spread, placed.rows)
    return np.asarray(np.nan_to_num(scaled, nan=0.0))
