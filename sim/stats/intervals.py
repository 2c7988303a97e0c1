"""Means and intervals over seeds: Student t, on paired differences wherever two methods saw the same seeds.

Where seeds only split the same patients again, their values are not independent: test sets overlap, and so do training
sets. The variance of the mean is then not s^2/n but (1/n + test/rest) s^2: Nadeau and Bengio, Inference for the
Generalization Error, Machine Learning 2003, the corrected resampled t test. All functions take test/rest as `overlap`.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import scipy

from sim.arrays import Floats, Ints
from sim.checks import Refused, within

LEVEL = 0.95  # of every interval unless said otherwise
FEWEST = 3  # values below which there is no interval: of two, the t quantile is 12.7 and the spread a single number


def z_of(level: float) -> float:
    """Standard errors on either side of an estimate at a level."""
    return NormalDist().inv_cdf((1 + level) / 2)


class Interval(NamedTuple):
    """Mean and the bounds that hold it at the stated level; NaN bounds where there are fewer than FEWEST values."""

    mean: float
    low: float
    high: float


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))


Z = z_of(LEVEL)  # 1.96


class Intervals(NamedTuple):
    """One interval a column, each [K]; `seeds` values went into it."""

    mean: Floats
    low: Floats
    high: Floats
    seeds: Ints


def half_width(sd: Floats, count: Ints, level: float = LEVEL, overlap: Floats | float = 0.0) -> Floats:
    """Half of a t interval of the mean; [K], [K] -> [K], NaN below FEWEST values.

    Student, Biometrika 1908. `sd` has the divisor n - 1. `overlap` [K] = test patients over all others where every
    value is of another split of the same patients; 0 where values are independent, NaN where nothing can be said.
    """
    within("level", level, 0, 1, open_low=True, open_high=True)
    enough = count >= FEWEST
    quantile = scipy.stats.t.ppf((1 + level) / 2, np.where(enough, count - 1, 1))
    half = quantile * sd / np.sqrt(np.maximum(count, 1)) * np.sqrt(1 + count * np.asarray(overlap, dtype=np.float64))
    return np.where(enough, half, np.nan)


def intervals(values: Floats, level: float = LEVEL, overlap: Floats | float = 0.0) -> Intervals:
    """Interval of every column; [n, K]. NaN = a seed in which the column is not defined, left out of it."""
    known = ~np.isnan(values)
    count = known.sum(0)
    some = np.maximum(count, 1)
    mean = np.where(count > 0, np.where(known, values, 0).sum(0) / some, np.nan)
    square = np.where(known, values - mean, 0) ** 2
    half = half_width(np.sqrt(square.sum(0) / np.maximum(count - 1, 1)), count, level, overlap)
    return Intervals(mean, mean - half, mean + half, count)


def interval(values: Floats, level: float = LEVEL, overlap: float = 0.0) -> Interval:
    """Mean over seeds and its interval; [n]. Refuses NaN and an empty list: a failed run is not a missing value."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or np.isnan(values).any():
        raise Refused(
            f"interval of {len(values)} values, {np.isnan(values).sum()} of them NaN: give at least one, and no NaN."
        )
    mean, low, high, _ = intervals(values[:, None], level, overlap)
    return Interval(float(mean[0]), float(low[0]), float(high[0]))


def paired(ours: Floats, theirs: Floats, level: float = LEVEL, overlap: float = 0.0) -> Interval:
    """Interval of ours - theirs, seed by seed; [n], [n]. Refuses lists of different length."""
    if len(ours) != len(theirs):
        raise Refused(f"paired difference of {len(ours)} and {len(theirs)} values: both need the same seeds.")
    return interval(np.asarray(ours) - np.asarray(theirs), level, overlap)
