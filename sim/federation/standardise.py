"""Features: from recorded columns to standardised numbers, using sums that a federation could compute.

One column at a time, so that a table of a million rows is not held twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints
from sim.cohort.encode import Encoder, refuse_huge
from sim.lazy import pd


class Scaling(Enum):
    """Whose mean and standard deviation standardise a column."""

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


@dataclass(frozen=True)
class Recipe:
    """How recorded columns become features, also for new rows: encoding, then `(value - mean) / scale`.

    scaling      whose statistics the constants are
    features     names [D]
    mean, scale  float64 [S, D] where each site has its own, else [1, D]
    """

    encoder: Encoder
    scaling: Scaling
    features: tuple[str, ...]
    mean: Floats = field(repr=False)
    scale: Floats = field(repr=False)

    def apply(self, table: pd.DataFrame, site: int = 0) -> NDArray[np.float32]:
        """Features [N, D] of a table that conforms to the encoder; `site` is the row of the constants."""
        x = np.empty((len(table), len(self.features)), dtype=np.float32)
        for at, (name, values) in enumerate(self.encoder.encode(table)):
            column = values.astype(np.float64)
            refuse_huge(name, column)
            x[:, at] = scaled(column, self.mean[site, at], self.scale[site, at])
        return x


def features(
    table: pd.DataFrame, columns: Sequence[str], placed: RowOrder, scaling: Scaling
) -> tuple[Recipe, NDArray[np.float32]]:
    """Standardised values [R, D] of a table's predictors, rows where `placed` puts them, and how they were made."""
    encoder = Encoder.of(table, columns)
    found = list(encoder.encode(table))
    x = np.empty((len(placed.order), len(found)), dtype=np.float32)
    rows = len(placed.rows) if scaling is Scaling.site else 1
    means, scales = np.empty((rows, len(found))), np.empty((rows, len(found)))
    for at, (name, values) in enumerate(found):
        column = values[placed.order].astype(np.float64)
        refuse_huge(name, column)
        mean, scale = constants(column, placed, scaling)
        x[:, at] = scaled(column, np.repeat(mean, placed.rows), np.repeat(scale, placed.rows))
        means[:, at], scales[:, at] = mean[:rows], scale[:rows]
    return Recipe(encoder, scaling, tuple(name for name, _ in found), means, scales), x


def scaled(column: Floats, mean: Floats | float, scale: Floats | float) -> Floats:
    """Standardised values; gaps become 0, the mean; [R] -> [R]."""
    return np.asarray(np.nan_to_num((column - mean) / scale, nan=0.0))


def constants(column: Floats, placed: RowOrder, scaling: Scaling) -> tuple[Floats, Floats]:
    """Mean and sd of the training rows by which each site scales, from per-site sums; [R] -> [S], [S].

    From two exchanges of sums, as in a federation: counts and totals first, then squares about the mean.
    """
    if scaling is Scaling.none:
        return np.zeros(len(placed.rows)), np.ones(len(placed.rows))
    train = column[placed.in_training]
    gap = np.isnan(train)
    count, total = placed.train - placed.sums(gap.astype(np.float64)), placed.sums(np.where(gap, 0.0, train))
    if scaling is Scaling.federated:
        count, total = (np.full(len(part), part.sum()) for part in (count, total))
    mean = total / np.maximum(count, 1)
    squares = placed.sums(np.where(gap, 0.0, train - np.repeat(mean, placed.train)) ** 2)
    if scaling is Scaling.federated:
        squares = np.full(len(squares), squares.sum())
    spread = np.sqrt(squares / np.maximum(count, 1))
    spread[spread == 0] = 1.0  # a constant column becomes all zeros
    return mean, spread
