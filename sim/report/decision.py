"""The decision in one scenario of a study: whether to join, for whom, and which methods are equally good."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import pandas as pd

from sim.metrics import METRICS
from sim.report.rows import MethodRow, SiteRow, method_rows, site_rows
from sim.report.scores import Scores
from sim.stats.intervals import Interval, paired, z_of
from sim.stats.selected import level_with_best

MANY = 100  # seeds at which t is all but normal, as a resampled difference is


class Verdict(Enum):
    """The conclusion about joining from the mean gain over local models."""

    join = "join"  # the interval of the gain lies above zero, and the gain is not below the margin
    same = "same"  # the gain is too small to matter: significant yet below the margin, or its interval within it
    alone = "alone"  # as `join`, below zero
    undecided = "undecided"
    no_interval = "no interval"  # too few seeds, or one split of fixed patients
    not_asked = "not asked"  # no local models


@dataclass(frozen=True)
class Decision:
    """One scenario; of the federated methods that finished, the one with the best mean and how the others compare."""

    scenario: str
    margin: float
    best: MethodRow
    equal: list[str]  # methods whose mean is within the margin of the best one's
    worse: list[tuple[str, float]]  # beyond the margin and significantly so, with the difference
    unclear: list[str]  # beyond the margin, not significantly
    gaining: list[str]  # sites that gain significantly, the largest first
    losing: list[str]
    small: SiteRow | None  # the sites too small to be judged individually, combined

    @property
    def methods(self) -> list[str]:
        """The best method and those equally good."""
        return [self.best.method, *self.equal]

    @property
    def verdict(self) -> Verdict:
        """Whether to join, by the mean gain of the best method and its interval."""
        gain, low, high = self.best.gain, self.best.gain_low, self.best.gain_high
        if math.isnan(gain):
            return Verdict.not_asked
        if math.isnan(low):
            return Verdict.no_interval
        if (low > 0 or high < 0) and abs(gain) >= self.margin:
            return Verdict.join if gain > 0 else Verdict.alone
        if low > 0 or high < 0 or max(-low, high) < self.margin:
            return Verdict.same
        return Verdict.undecided


def decide(table: pd.DataFrame, sites: pd.DataFrame, scored: Scores, margin: float) -> Decision | None:
    """The decision in one scenario, None where no federated run finished; `table`, `sites` = its rows."""
    methods = [row for row in method_rows(table) if not row.reference and not math.isnan(row.mean)]
    if not methods:
        return None
    best = methods[0]
    merit = METRICS[best.metric].merit(table["mean"].to_numpy(float))
    of_method = dict(zip(table["method"], merit, strict=True))
    equal: list[str] = []
    worse: list[tuple[str, float]] = []
    unclear: list[str] = []
    for other in methods[1:]:
        behind = float(of_method[best.method] - of_method[other.method])
        difference = difference_from_best(scored, best, other, len(methods))
        if behind < margin:
            equal.append(other.method)
        elif difference is not None and difference.low > 0:
            worse.append((other.method, behind))
        else:
            unclear.append(other.method)
    of_best = [row for row in site_rows(sites) if row.method == best.method]
    alone = [row for row in of_best if row.kind == "site"]
    return Decision(
        scenario=best.scenario,
        margin=margin,
        best=best,
        equal=equal,
        worse=worse,
        unclear=unclear,
        gaining=[row.site for row in alone if row.low > 0],
        losing=[row.site for row in alone if row.high < 0],
        small=next((row for row in of_best if row.kind == "together"), None),
    )


def difference_from_best(scored: Scores, best: MethodRow, other: MethodRow, methods: int) -> Interval | None:
    """Interval of the difference of a method from the best one, over the seeds that both finished; None without any."""
    end = scored.end[(scored.end["scenario"] == best.scenario) & (scored.end["status"] == "done")]
    merits = [end[end["method"] == row.method].set_index("seed")["merit"] for row in (best, other)]
    both = pd.concat(merits, axis=1, join="inner").dropna().to_numpy(float)
    if not len(both):
        return None
    if scored.one_split(best.scenario):
        mean = float((both[:, 0] - both[:, 1]).mean())
        half = z_of(level_with_best(methods, MANY)) * scored.error(best.scenario, best.method, other.method)
        return Interval(mean, mean - half, mean + half)
    level = level_with_best(methods, len(both))
    return paired(both[:, 0], both[:, 1], level, float(scored.overlaps(best.scenario)[0]))


def decisions(
    table: pd.DataFrame, sites: pd.DataFrame, scored: Scores, margin: float
) -> Sequence[tuple[str, Decision | None]]:
    """Scenario and decision, in order of appearance."""
    return [
        (str(name), decide(rows, sites[sites["scenario"] == name], scored, margin))
        for name, rows in table.groupby("scenario", sort=False)
    ]
