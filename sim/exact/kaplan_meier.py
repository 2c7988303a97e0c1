"""Survival curves and the log-rank test by sums over risk sets: those of the pooled rows.

T distinct event times of any site, G groups of patients. Rows of a site: "time_days" [n], "event" [n], "group" [n].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import scipy

from sim.arrays import Floats
from sim.exact.sums import Message, Rows, State, SumProtocol
from sim.stats.intervals import LEVEL


@dataclass
class RiskSets(SumProtocol):
    """Deaths and patients at risk at each event time of any site, by group; two exchanges.

    First every site sends the times of its events, then for all of them two counts per group. The price of equality:
    event times, and counts that may be small, leave a site.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("times",)
    groups: int

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Event times; then deaths and patients at risk; [T, G] each."""
        died = rows["event"] > 0
        if "times" not in seen:
            return {"times": np.unique(rows["time_days"][died])}
        times, group = seen["times"], rows["group"].astype(np.int64)
        shape = (len(times) + 1, self.groups)
        at = np.searchsorted(times, rows["time_days"], side="right")  # at risk at the times before this number
        held, dead = np.zeros(shape), np.zeros(shape)
        np.add.at(held, (at, group), 1.0)
        np.add.at(dead, (at[died], group[died]), 1.0)
        return {"at_risk": held[::-1].cumsum(0)[::-1][1:], "deaths": dead[1:]}

    def total(self, messages: Sequence[Message]) -> Message:
        """The union of the sites' times; sums otherwise."""
        if "times" in messages[0]:
            return {"times": np.unique(np.concatenate([one["times"] for one in messages]))}
        return super().total(messages)

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The times; then all that the curves and the test are made of."""
        return state | total, "deaths" in total


class Curve(NamedTuple):
    """A Kaplan-Meier curve with pointwise intervals, just after each of T times; each [T]."""

    survival: Floats
    low: Floats
    high: Floats


def kaplan_meier(deaths: Floats, at_risk: Floats) -> Curve:
    """Kaplan and Meier, JASA 1958; variance by Greenwood 1926, intervals on the scale of log(-log); [T], [T].

    From the first time on at which nobody is at risk the curve is NaN, for nothing is known there.
    """
    risk = np.where(at_risk > 0, at_risk, np.nan)
    survival = np.asarray(np.cumprod(1 - deaths / risk), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.cumsum(deaths / (risk * (risk - deaths)))) / np.log(survival)
        half = scipy.stats.norm.ppf((1 + LEVEL) / 2) * spread
        low, high = survival ** np.exp(-half), survival ** np.exp(half)
    certain = (survival == 1) | (survival == 0)
    return Curve(survival, np.where(certain, survival, low), np.where(certain, survival, high))


def at_times(curve: Curve, times: Floats, asked: Floats) -> Curve:
    """The curve at other times, [m] each; 1 before the first event."""
    place = np.searchsorted(times, asked, side="right")
    return Curve(*(np.r_[1.0, part][place] for part in curve))


def crossing(survival: Floats, times: Floats, share: float = 0.5) -> float:
    """First time at which a curve [T] is at a share or below, such as the median; NaN where it never is."""
    below = np.flatnonzero(survival <= share + 1e-12)
    return float(times[below[0]]) if len(below) else float("nan")


class LogRank(NamedTuple):
    """A test that all groups have one survival: Mantel, Cancer Chemotherapy Rep. 1966; Peto and Peto, JRSS A 1972."""

    observed: Floats  # [G] events
    expected: Floats  # [G] of them if there was no difference
    chi2: float  # NaN with a single group
    df: int
    p: float


def log_rank(deaths: Floats, at_risk: Floats) -> LogRank:
    """Log-rank test from deaths and patients at risk; [T, G] each."""
    died, risk = deaths.sum(1), at_risk.sum(1)
    share = at_risk / risk[:, None]
    observed, expected = deaths.sum(0), (died[:, None] * share).sum(0)
    factor = died * (risk - died) / np.maximum(risk - 1, 1)
    covariance = np.diag(factor @ share) - (factor[:, None] * share).T @ share
    df = deaths.shape[1] - 1
    if not df:
        return LogRank(observed, expected, float("nan"), 0, float("nan"))
    apart = (observed - expected)[:-1]
    chi2 = float(apart @ np.linalg.pinv(covariance[:-1, :-1]) @ apart)
    return LogRank(observed, expected, chi2, df, float(scipy.stats.chi2.sf(chi2, df)))
