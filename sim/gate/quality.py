"""The quality tier: compares every metric of every cell, paired by seed, with its margin, as one family."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sim.arrays import Floats
from sim.gate.definition import GateCell
from sim.gate.finding import Finding, Numbers, Outcome
from sim.metrics import METRICS
from sim.stats.noninferiority import FEWEST, Shown, holm, shown
from sim.text import signed

ERROR = 0.05  # of a gate's verdict on a cell, over all looks


class Pairs(NamedTuple):
    """A metric of a cell: values of the baseline, current values, and differences in merit, each [n]."""

    cell: GateCell
    metric: str
    before: Floats
    now: Floats
    difference: Floats


def quality(family: Sequence[Pairs], margins: Mapping[str, float], looks: int) -> list[Finding]:
    """A finding for every member of the family; each look has an equal part of ERROR (Bonferroni).

    A pass needs no correction for the family, because the gate passes only if all do (Berger, Technometrics 1982); a
    failure uses Holm's. Metrics that are equal for every seed pass without a test and do not count in the correction:
    equal values of equal code do not depend on chance.
    """
    level = 1 - ERROR / looks
    results = [result(pairs.difference, margins[pairs.metric], level) for pairs in family]
    tested = [bool(one) and bool(np.any(pairs.difference)) for pairs, one in zip(family, results, strict=True)]
    adjusted = iter(holm([one.lost for one, test in zip(results, tested, strict=True) if one and test]))
    return [
        finding(pairs, one, margins[pairs.metric], next(adjusted) if test else math.nan, level)
        for pairs, one, test in zip(family, results, tested, strict=True)
    ]


def result(difference: Floats, margin: float, level: float) -> Shown | None:
    """The result of the test of the differences; None if they are too few."""
    return shown(difference, margin, level) if len(difference) >= FEWEST else None


def finding(pairs: Pairs, result: Shown | None, margin: float, p: float, level: float) -> Finding:
    """The outcome of one test, as text and numbers."""
    metric, count = METRICS[pairs.metric], len(pairs.difference)
    mean = float(pairs.difference.mean()) if count else math.nan
    before, now = (float(side.mean()) if count else math.nan for side in (pairs.before, pairs.now))
    low, high = (result.low, result.high) if result else (math.nan, math.nan)
    numbers = Numbers(count, before, now, mean, low, high, level, margin, p)
    if result is None:
        outcome, told = Outcome.inconclusive, f"{count} seeds: fewer than {FEWEST} decide nothing. Give more seeds."
    elif not np.any(pairs.difference):
        outcome, told = Outcome.ok, f"the same values for all {count} seeds."
    elif low > margin:
        outcome = Outcome.warning
        told = f"better by more than the margin ({signed(mean, 4)}): check that it is real, then update the baseline."
    elif low > -margin:
        outcome, told = Outcome.ok, f"no more than the margin is lost ({signed(mean, 4)}, at least {signed(low, 4)})."
    elif high < -margin and p <= 1 - level:
        outcome = Outcome.fail
        told = f"{metric.name} got worse by more than {margin:g}: {signed(mean, 4)}, at most {signed(high, 4)}."
    else:
        outcome = Outcome.inconclusive
        told = f"{count} seeds leave it open: {signed(mean, 4)}, between {signed(low, 4)} and {signed(high, 4)}."
    return Finding(*pairs.cell.key, "quality", pairs.metric, outcome, told, numbers)
