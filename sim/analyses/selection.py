"""Choosing features from many tests: which are chosen, how many are true, and how stable the choice is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim.arrays import Floats
from sim.checks import Refused
from sim.stats.intervals import UNDEFINED, Interval, Z

Flags = NDArray[np.bool_]


def p_values(z: Floats) -> Floats:
    """Two-sided p-values of z statistics; NaN (not tested) gives 1."""
    return np.asarray(np.nan_to_num(2 * stats.norm.sf(np.abs(z)), nan=1.0))


def discoveries(p: Floats, rate: float) -> Flags:
    """Features whose false discovery rate stays below `rate`, bool [p].

    Benjamini and Hochberg, JRSS B 1995: the largest k with p_(k) <= k rate / p, and all smaller ones.
    """
    ordered = np.sort(p)
    below = np.flatnonzero(ordered <= rate * np.arange(1, len(p) + 1) / len(p))
    return p <= ordered[below[-1]] if len(below) else np.zeros(len(p), dtype=bool)


class SelectionQuality(NamedTuple):
    """A choice of features compared with the truth; NaN where that is not known."""

    chosen: int
    recall: float  # share of the true features that were chosen
    false: float  # share of the chosen that are not true; 0 if none was chosen


def compare(chosen: Flags, true: Flags) -> SelectionQuality:
    """A choice, bool [p], compared with the truth, bool [p]."""
    hits, many = int((chosen & true).sum()), int(chosen.sum())
    return SelectionQuality(many, hits / int(true.sum()), (many - hits) / max(many, 1))


def stability(choices: Flags) -> Interval:
    """Similarity of M choices, bool [M, p], with its interval: 1 = always the same, 0 = as similar as by chance.

    Nogueira, Sechidis and Brown, JMLR 2018, definition 4 and theorem 9. NaN where nothing, or
    everything, is chosen. Raises Refused below two choices.
    """
    times, width = choices.shape
    if times < 2:
        raise Refused(f"The stability of {times} choice is not defined: draw at least 2 halves.")
    z = choices.astype(np.float64)
    share, size = z.mean(0), z.sum(1)
    mean = size.mean()
    chance = mean / width * (1 - mean / width)
    if chance == 0:
        return UNDEFINED
    value = 1 - times / (times - 1) * float((share * (1 - share)).mean()) / chance
    lean = value / 2 * (2 * mean * size / width**2 - (size + mean) / width + 1)
    each = (z @ share / width - size * mean / width**2 + lean) / chance
    half = Z * 2 / times * float(np.sqrt(((each - each.mean()) ** 2).sum()))
    return Interval(value, value - half, min(value + half, 1.0))


def jaccard(choices: Flags) -> float:
    """Mean Jaccard index of all pairs of M choices, bool [M, p]; NaN where no pair chooses anything."""
    z = choices.astype(np.float64)
    both = z @ z.T
    either = z.sum(1)[:, None] + z.sum(1) - both
    upper = np.triu_indices(len(z), 1)
    some = either[upper] > 0
    return float((both[upper][some] / either[upper][some]).mean()) if some.any() else float("nan")
