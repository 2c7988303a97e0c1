"""Trends of rare cancers: counts by year, small ones hidden before or after the counts of the sites are summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.analyses.calendar import groups, year_column, years
from sim.analyses.selection import Flags
from sim.analyses.sites import CohortBySite
from sim.arrays import Floats
from sim.checks import Refused
from sim.exact.sums import Message, Rows, State, SumProtocol, Traffic, solve
from sim.stats.intervals import UNDEFINED, Interval, Z

NOTHING_HIDDEN, SUM_FIRST, HIDE_FIRST = "Nothing hidden", "Sum, then hide", "Hide, then sum"
WAYS = (NOTHING_HIDDEN, SUM_FIRST, HIDE_FIRST)


@dataclass
class Counts(SumProtocol):
    """Patients by group and year, [groups, years]; a site hides its own cells below `threshold` before it sends them.

    A cell of zero is shown: it reveals no patient. CMS Cell Size Suppression Policy (2017; ResDAC): no cell of 1 to 10
    may be shown, which is threshold 11.
    """

    groups: int
    years: int
    threshold: float = 0

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Counts of one site; a hidden cell is sent as zero."""
        at = (rows["group"] * self.years + rows["year"]).astype(np.int64)
        flat = np.bincount(at, minlength=self.groups * self.years).astype(np.float64)
        table = flat.reshape(self.groups, self.years)
        return {"count": np.where(must_hide(table, self.threshold), 0, table)}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The totals are the answer."""
        return dict(total), True


def must_hide(table: Floats, threshold: float) -> Flags:
    """Which cells must be hidden: those with some patients, but fewer than the threshold; bool, shape of `table`."""
    return np.asarray((table > 0) & (table < threshold))


class Trend(NamedTuple):
    """The trend of one group under one way of hiding."""

    counts: Floats  # [years], NaN for a hidden cell
    apc: Interval  # annual percent change, in percent; NaN where fewer than three years are shown
    hidden: float  # share of the cells with patients that are blank
    short: float  # share of them that are shown too low
    lost: float  # share of the patients that are not in any shown cell


@dataclass(frozen=True)
class Trends:
    """Trends of every group under every way of hiding."""

    column: str  # of the year
    by: str  # the column of the groups; empty = all patients are one
    years: tuple[int, ...]
    groups: tuple[str, ...]
    trend: Mapping[tuple[str, str], Trend]  # by group and way
    true: Mapping[str, float]  # true annual percent change by group, where known
    traffic: Mapping[str, Traffic]
    threshold: int
    begin: tuple[int, ...]  # first year of every site
    end: tuple[int, ...]  # last year of every site


def trends(data: CohortBySite, year: str, group: str, threshold: int, true: Mapping[str, float]) -> Trends:
    """Counts and fitted trends under every way of hiding.

    Refuses a cohort without years of diagnosis, with fewer than three of them, or whose truth is known to be no trend.
    """
    column = year_column(data, year)
    if data.truth is not None and not true:
        raise Refused(
            f"Cohort {data.cohort.name!r} has no trend to estimate: every site's patients come from different years, "
            "so counts by year show when a site joined, not how often a cancer occurs. Set cohort.years=10 or another "
            "number from 3 to 40 (cohort=calibrated)."
        )
    when = years(data, column)
    first, last = int(when.min()), int(when.max())
    if last - first < 2:
        raise Refused(
            f"Column {column!r} of cohort {data.cohort.name!r} holds {last - first + 1} year(s): a trend needs three."
        )
    by, names, code = groups(data, group)
    known = {name: change for name, change in true.items() if name in names}
    rows = data.rows(group=code, year=when - first)
    shape = (len(names), last - first + 1)
    found, whole_traffic = solve(Counts(*shape), rows)
    hiding, hiding_traffic = solve(Counts(*shape, threshold), rows)
    whole, kept = found["count"], hiding["count"]
    tables = {
        NOTHING_HIDDEN: whole,
        SUM_FIRST: np.where(must_hide(whole, threshold), np.nan, whole),
        HIDE_FIRST: np.where((kept == 0) & (whole > 0), np.nan, kept),
    }
    trend = {
        (name, way): trend_of(table[at], whole[at], np.arange(first, last + 1.0))
        for way, table in tables.items()
        for at, name in enumerate(names)
    }
    traffic = {"Counts under secure summation": whole_traffic, "Counts hidden at the sites": hiding_traffic}
    each = data.split(when)
    begin, end = (tuple(int(ends(part)) for part in each) for ends in (np.min, np.max))
    return Trends(column, by, tuple(range(first, last + 1)), names, trend, known, traffic, threshold, begin, end)


def trend_of(shown: Floats, whole: Floats, when: Floats) -> Trend:
    """Trend of one group from its shown counts [years], compared with its whole counts [years]."""
    there, blank = whole > 0, np.isnan(shown)
    cells = max(int(there.sum()), 1)
    short = int((there & ~blank & (np.nan_to_num(shown) < whole)).sum())
    lost = 1 - float(np.nansum(shown)) / max(float(whole.sum()), 1.0)
    return Trend(shown, percent_change(when[~blank], shown[~blank]), float(blank.sum()) / cells, short / cells, lost)


def percent_change(when: Floats, counts: Floats) -> Interval:
    """Annual percent change of counts [years], 100 (e^slope - 1), and its interval; NaN below three years.

    Log-linear Poisson regression on the year by Newton's method; as in Kim et al., Statistics in Medicine 2000,
    without joinpoints.
    """
    if len(when) < 3 or (counts > 0).sum() < 2:
        return UNDEFINED
    x = np.stack([np.ones(len(when)), when - when.mean()])
    beta = np.array([np.log(counts.mean()), 0.0])
    for _ in range(50):
        rate = np.exp(beta @ x)
        information = (x * rate) @ x.T
        step = np.linalg.solve(information, x @ (counts - rate))
        beta = beta + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-12:
            break
    slope, se = float(beta[1]), float(np.sqrt(np.linalg.inv(information)[1, 1]))
    return Interval(*(100 * float(np.expm1(at)) for at in (slope, slope - Z * se, slope + Z * se)))


def mean_bias(found: Trends, way: str) -> float:
    """Mean absolute distance of the estimates from the truth in percentage points; NaN if no group has both.

    Over the groups that have a trend under every way of hiding: else a way that loses the rare ones would look better.
    """
    complete = [name for name in found.groups if not any(np.isnan(found.trend[name, one].apc.mean) for one in WAYS)]
    off = [found.trend[name, way].apc.mean - found.true[name] for name in complete if name in found.true]
    return float(np.mean(np.abs(off))) if off else float("nan")


def without_trend(found: Trends, way: str) -> float:
    """Share of the groups without a trend, because too few years are shown."""
    return float(np.mean([np.isnan(found.trend[name, way].apc.mean) for name in found.groups]))


def shares(found: Trends, way: str, of: Sequence[str]) -> list[float]:
    """Means over groups of the shares `hidden`, `short` and `lost` that are asked for."""
    return [float(np.mean([getattr(found.trend[name, way], part) for name in found.groups])) for part in of]
