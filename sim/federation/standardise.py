"""Features: from recorded columns to numbers that every site scales alike, by sums a federation could compute.

One column at a time, so that a million rows need no second table beside the one that is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints
from sim.cohort.encode import encode, refuse_huge


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

    order: Ints
    rows: Ints
    train: Ints

    @cached_property
    def inside(self) -> Bools:
        """Whether a row is for training, [R]."""
        first = np.cumsum(self.rows) - self.rows
        return np.arange(len(self.order)) < np.repeat(first + self.train, self.rows)

    def sums(self, values: Floats) -> Floats:
        """Sum at each site of a value for every training row, site after site; [sum of train] -> [S]."""
        owner = np.repeat(np.arange(len(self.train)), self.train)
        return np.bincount(owner, values, len(self.train)).astype(np.float64)


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
