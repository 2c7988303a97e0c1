"""Paired non-inferiority: do differences by seed show that no more than a margin is lost, or that more is?

A pass rejects that the mean difference is at or below -margin, a failure that it is at or above it; in between, the
result is inconclusive. Wellek, Testing Statistical Hypotheses of Equivalence and Noninferiority, 2010.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy

from sim.arrays import Floats, Ints
from sim.checks import Refused, within
from sim.random import stream
from sim.stats.intervals import interval

FEWEST = 5  # with fewer differences nothing is claimed: the signs of four reach 1/16 at best
RESAMPLED = 10  # differences from which the bootstrap has a say
DRAWS = 20_000  # resamples; a p value of 0.00125 then has a standard error of a fifth of itself


class Shown(NamedTuple):
    """What differences show: mean, one-sided bounds, and p values against the margin."""

    mean: float
    low: float  # the mean lies above it at the stated level
    high: float  # the mean lies below it at the stated level
    kept: float  # p value of "mean <= -margin": small = no more than the margin is lost
    lost: float  # p value of "mean >= -margin": small = more than the margin is lost


def shown(differences: Floats, margin: float, level: float = 0.95) -> Shown:
    """What paired differences [n] show at a one-sided level, more being better; refuses fewer than FEWEST, and NaN.

    Student's t, from RESAMPLED differences on together with the BCa bootstrap: the wider bound and the larger p value
    of the two, as the bootstrap of few values is too narrow (Hesterberg, The American Statistician 2015). Of ten normal
    values it passes 8 % of losses as large as the margin at a level of 95 %; t and the wider of both pass 5 %.
    """
    within("level", level, 0.5, 1, open_low=True, open_high=True)
    within("margin", margin, 0)
    if len(differences) < FEWEST or not np.isfinite(differences).all():
        raise Refused(f"{len(differences)} differences: give {FEWEST} or more, all of them finite.")
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread == 0:
        return Shown(mean, mean, mean, float(mean <= -margin), float(mean >= -margin))
    found = of_student(differences, margin, level)
    if len(differences) < RESAMPLED:
        return found
    other = of_bootstrap(differences, margin, level)
    return Shown(
        mean,
        min(found.low, other.low),
        max(found.high, other.high),
        max(found.kept, other.kept),
        max(found.lost, other.lost),
    )


def of_student(differences: Floats, margin: float, level: float) -> Shown:
    """Bounds and p values of the paired t test; [n]."""
    mean, low, high = interval(differences, 2 * level - 1)
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    lost = float(scipy.stats.t.cdf((mean + margin) / error, len(differences) - 1))
    return Shown(mean, low, high, 1 - lost, lost)


def of_bootstrap(differences: Floats, margin: float, level: float) -> Shown:
    """Bounds and p values of the bias-corrected and accelerated bootstrap; [n].

    Efron, Better Bootstrap Confidence Intervals, JASA 1987; DiCiccio and Efron, Statistical Science 1996, whose formula
    for a bound is solved for the level to give the p values. Ranks count one draw more than there are, so that no p
    value is 0.
    """
    normal = scipy.stats.norm
    mean = float(differences.mean())
    means = np.sort(differences[draws(len(differences))].mean(1))
    away = differences - mean
    acceleration = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    bias = float(normal.ppf(share_below(means, mean)))

    def bound(at: float) -> float:
        """Quantile of the means for a level."""
        z = bias + normal.ppf(at)
        return float(np.quantile(means, normal.cdf(bias + z / (1 - acceleration * z))))

    z = normal.ppf(share_below(means, -margin)) - bias
    p = float(normal.cdf(z / (1 + acceleration * z) - bias))
    return Shown(mean, bound(1 - level), bound(level), p, 1 - p)


def share_below(means: Floats, value: float) -> float:
    """Share of sorted means below a value, half of those equal to it; within (0, 1)."""
    below = (np.searchsorted(means, value, "left") + np.searchsorted(means, value, "right")) / 2
    return float((below + 0.5) / (len(means) + 1))


@lru_cache(maxsize=64)
def draws(count: int) -> Ints:
    """Resamples of so many values by their places, [DRAWS, count]; the same in every process."""
    return stream(0, "noninferiority").integers(0, count, (DRAWS, count))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p values of a family, in its order: rejecting those at or below a level errs no more often than that.

    Holm, Scandinavian Journal of Statistics 1979.
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * factors), 1)
    found = np.empty(len(p))
    found[order] = adjusted
    return [float(value) for value in found]
