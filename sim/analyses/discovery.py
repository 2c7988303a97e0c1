"""Biomarker discovery: which of many features are associated with an outcome, by sums and by the usual ways."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.analyses.features import Panel, Scope, correlated
from sim.analyses.pooled import pooled_z
from sim.analyses.searches import JOINT, Selections, random_halves, select
from sim.analyses.selection import Flags, SelectionQuality, compare, discoveries, jaccard, p_values, stability
from sim.exact.sums import Traffic
from sim.stats.intervals import UNDEFINED, Interval

MEAN, POOLED = "A site alone, mean", "Pooled rows"
LINK = 0.1  # correlation with a true feature that makes a false one its neighbour; in AR(1) blocks of 0.5: 3 apart


@dataclass(frozen=True)
class WayResult:
    """How well one way of searching does; NaN where the truth is not known."""

    way: str
    found: SelectionQuality
    far: float  # share of the chosen that are neither true nor correlated with a true feature
    stable: Interval  # stability of the choice over random halves
    traffic: Traffic | None  # what one site exchanges; None where rows would have to move


@dataclass(frozen=True)
class Discovery:
    """Results of all ways of searching."""

    scope: Scope
    rows: tuple[WayResult, ...]
    chosen: tuple[str, ...]  # by sums and one joint model
    agree: float  # mean Jaccard index of two sites that search alone
    pooled_gap: float  # largest difference of a z score between sums and pooled rows
    prepared: Traffic  # for the means and standard deviations of covariates and features


def discovery(panel: Panel, rate: float, halves: int, seed: int) -> Discovery:
    """Search in all rows, and for the stability in `halves` random halves of every site's patients (0, or >= 2)."""
    first = select(panel.covariates, panel.sites, rate)
    pooled = pooled_z(panel)
    gap = float("nan") if pooled is None else float(np.nanmax(np.abs(pooled - first.z)))
    again = [
        select(panel.covariates, random_halves(panel.sites, seed, draw), rate, part=True) for draw in range(halves)
    ]
    near = None if panel.true is None else correlated(panel.sites, panel.true, LINK)
    rows = []
    for way, chosen in first.ways.items():
        stable = stability(np.array([one.ways[way] for one in again])) if halves else UNDEFINED
        rows.append(
            WayResult(way, quality(chosen, panel.true), unrelated(chosen, near), stable, first.traffic.get(way))
        )
    if len(panel.sites) > 1:
        rows.append(mean_site(first, again, panel, near))
    if pooled is not None:
        chosen = discoveries(p_values(pooled), rate)
        rows.append(WayResult(POOLED, quality(chosen, panel.true), unrelated(chosen, near), UNDEFINED, None))
    names = tuple(name for name, here in zip(panel.features, first.ways[JOINT], strict=True) if here)
    return Discovery(panel.scope, tuple(rows), names, jaccard(first.alone), gap, panel.traffic)


def quality(chosen: Flags, true: Flags | None) -> SelectionQuality:
    """Quality of a choice, bool [p]; NaN where the truth is not known."""
    if true is None:
        return SelectionQuality(int(chosen.sum()), float("nan"), float("nan"))
    return compare(chosen, true)


def unrelated(chosen: Flags, near: Flags | None) -> float:
    """Share of the chosen that are not even neighbours of a true feature; NaN where the truth is not known."""
    return float("nan") if near is None else float((chosen & ~near).sum() / max(chosen.sum(), 1))


def mean_site(first: Selections, again: Sequence[Selections], panel: Panel, near: Flags | None) -> WayResult:
    """Means over the sites of their own searches."""
    each = np.array([[*quality(mine, panel.true), unrelated(mine, near)] for mine in first.alone])
    chosen, recall, false, distant = map(float, each.mean(0))
    stable = [stability(np.array([one.alone[at] for one in again])).mean for at in range(len(first.alone)) if again]
    value = float(np.nanmean(stable)) if np.isfinite(stable).any() else float("nan")
    nan = float("nan")
    return WayResult(
        MEAN, SelectionQuality(round(chosen), recall, false), distant, Interval(value, nan, nan), Traffic()
    )
