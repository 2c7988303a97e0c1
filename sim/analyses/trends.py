"""Trends of rare cancers: counts by year, hidden where they are small, before or after the sites' counts are summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.analyses.calendar import groups, year_column, years
from sim.analyses.counterfactual import Z
from sim.analyses.selection import Flags
from sim.analyses.sites import Held
from sim.analyses.sums import Exact, Message, Rows, State, Wire, solve
from sim.arrays import Floats
from sim.checks import Refused
from sim.stats.intervals import Interval

ALL, FIRST, AFTER = "Nothing hidden", "Sum, then hide", "Hide, then sum"
WAYS = (ALL, FIRST, AFTER)
NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@dataclass
class Counts(Exact):
    """Patients by group and year, [groups, years]; a site hides its own cells below `threshold` before it sends them.

    A cell of zero is shown: it says nothing about a patient. CMS Cell Size Suppression Policy (2017; ResDAC): no cell
    of 1 to 10 may be shown, which is threshold 11.
    """

    groups: int
    years: int
    threshold: float = 0

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Counts of one site; a hidden cell is sent as zero."""
        at = (rows["group"] * self.years + rows["year"]).astype(np.int64)
        flat = np.bincount(at, minlength=self.groups * self.years).astype(np.float64)
        table = flat.reshape(self.groups, self.years)
        return {"count": np.where(small(table, self.threshold), 0, table)}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The totals are the answer."""
        return dict(total), True


def small(table: Floats, threshold: float) -> Flags:
    """Cells that must be hidden: some patients, but fewer than the threshold."""
    return np.asarray((table > 0) & (table < threshold))


class Trend(NamedTuple):
    """One group in one way of hiding; counts [years] with NaN for a hidden cell."""

    counts: Floats
    apc: Interval  # annual percent change, in percent; NaN where fewer than three years are shown
    hidden: float  # share of the cells with patients that are blank
    short: float  # share of them that are shown too low
    lost: float  # share of the patients that are not in any shown cell


@dataclass(frozen=True)
class Trends:
    """Every group in every way of hiding."""

    column: str  # the year's
    by: str  # the column of the groups; empty = all patients are one
    years: tuple[int, ...]
    groups: tuple[str, ...]
    trend: Mapping[tuple[str, str], Trend]  # by group and way
    true: Mapping[str, float]  # true annual percent change by group, where known
    wires: Mapping[str, Wire]
    threshold: int
    begin: tuple[int, ...]  # first year of every site
    end: tuple[int, ...]  # and last


def trends(held: Held, year: str, group: str, threshold: int, true: Mapping[str, float]) -> Trends:
    """Count in both ways and fit both; refuses a cohort without years."""
    column = year_column(held, year)
    if held.truth is not None and not true:
        raise Refused(
            f"Cohort {held.cohort.name!r} has no trend to find: every site's patients come from years of its own, so "
            "counts by year say when a site joined, not how often a cancer occurs. Set cohort.years=10 or another "
            "number from 3 to 40 (cohort=calibrated)."
        )
    when = years(held, column)
    first, last = int(when.min()), int(when.max())
    if last - first < 2:
        raise Refused(
            f"Column {column!r} of cohort {held.cohort.name!r} holds {last - first + 1} year(s): a trend needs three."
        )
    by, names, code = groups(held, group)
    known = {name: change for name, change in true.items() if name in names}
    rows = held.rows(group=code, year=when - first)
    shape = (len(names), last - first + 1)
    found, wire = solve(Counts(*shape), rows)
    hiding, hidden_wire = solve(Counts(*shape, threshold), rows)
    whole, kept = found["count"], hiding["count"]
    tables = {
        ALL: whole,
        FIRST: np.where(small(whole, threshold), np.nan, whole),
        AFTER: np.where((kept == 0) & (whole > 0), np.nan, kept),
    }
    trend = {
        (name, way): describe(table[at], whole[at], np.arange(first, last + 1.0))
        for way, table in tables.items()
        for at, name in enumerate(names)
    }
    wires = {"Counts under secure summation": wire, "Counts hidden at the sites": hidden_wire}
    each = held.split(when)
    begin, end = (tuple(int(ends(part)) for part in each) for ends in (np.min, np.max))
    return Trends(column, by, tuple(range(first, last + 1)), names, trend, known, wires, threshold, begin, end)


def describe(shown: Floats, whole: Floats, when: Floats) -> Trend:
    """Trend of one row of a table [years] beside the whole counts."""
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
        return NOTHING
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
    """Mean distance of the estimates from the truth in percentage points; NaN if no group has both.

    Over groups that have a trend in every way: else a way that loses the rare ones would look the better for it.
    """
    told = [name for name in found.groups if not any(np.isnan(found.trend[name, one].apc.mean) for one in WAYS)]
    off = [found.trend[name, way].apc.mean - found.true[name] for name in told if name in found.true]
    return float(np.mean(np.abs(off))) if off else float("nan")


def untold(found: Trends, way: str) -> float:
    """Share of the groups without any trend, because too few years are shown."""
    return float(np.mean([np.isnan(found.trend[name, way].apc.mean) for name in found.groups]))


def shares(found: Trends, way: str, of: Sequence[str]) -> list[float]:
    """Means over groups of the shares `hidden`, `short` and `lost` that are asked for."""
    return [float(np.mean([getattr(found.trend[name, way], part) for name in found.groups])) for part in of]
