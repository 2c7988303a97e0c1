"""Features: from recorded columns to standardised numbers, by sums that a federation could compute.

One column at a time, so that a table of a million rows is not held twice.
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
    """By whose mean and standard deviation a column is standardised."""

    federated = "federated"  # one mean and sd for all, from sums over the sites' training rows
    site = "site"  # each site its own training rows (FLamby, du Terrail et al., NeurIPS 2022)
    none = "none"


@dataclass(frozen=True)
class RowOrder:
    """Order of the rows of a federation: site after site, and in each the training rows first.

    order  int [R]: row order[r] of the table becomes row r
    rows   int [S]: rows of each site
    train  int [S]: training rows of each site
    """

    order: Ints
    rows: Ints
    train: Ints

    @cached_property
    def in_training(self) -> Bools:
        """Whether a row is for training, [R]; in the new order."""
        first = np.cumsum(self.rows) - self.rows
        return np.arange(len(self.order)) < np.repeat(first + self.train, self.rows)

    def sums(self, values: Floats) -> Floats:
        """Sum over the training rows of each site; values of all training rows, site after site -> [S]."""
        owner = np.repeat(np.arange(len(self.train)), self.train)
        return np.bincount(owner, values, len(self.train)).astype(np.float64)


def features(
    table: pd.DataFrame, columns: Sequence[str], placed: RowOrder, scaling: Scaling
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names [D] and standardised values [R, D] of a table's predictors, with rows in the order of `placed`."""
    found = list(encode(table, columns))
    x = np.empty((len(placed.order), len(found)), dtype=np.float32)
    for d, (name, values) in enumerate(found):
        column = values[placed.order].astype(np.float64)
        refuse_huge(name, column)
        x[:, d] = standardise(column, placed, scaling)
    return tuple(name for name, _ in found), x


def standardise(column: Floats, placed: RowOrder, scaling: Scaling) -> Floats:
    """Column with zero mean and unit variance over training rows; gaps become 0, the mean; [R] -> [R].

    From two exchanges of sums, as a federation would do it: counts and totals first, then squares about the mean.
    """
    if scaling is Scaling.none:
        return np.nan_to_num(column, nan=0.0)
    train = column[placed.in_training]
    gap = np.isnan(train)
    count, total = placed.train - placed.sums(gap.astype(np.float64)), placed.sums(np.where(gap, 0.0, train))
    if scaling is Scaling.federated:
        count, total = (np.full(len(part), part.sum()) for part in (count, total))
    mean = total / np.maximum(count, 1)
    squares = placed.sums(np.where(gap, 0.0, train - np.repeat(mean, placed.train)) ** 2)
    if scaling is Scaling.federated:
        squares = np.full(len(squares), squares.sum())
    sd = np.sqrt(squares / np.maximum(count, 1))
    sd[sd == 0] = 1.0  # a constant column becomes all zeros
    scaled = (column - np.repeat(mean, placed.rows)) / np.repeat(sd, placed.rows)
    return np.asarray(np.nan_to_num(scaled, nan=0.0))
