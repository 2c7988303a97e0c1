"""The answer of a study in plain words, claiming no more than its numbers support."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.metrics import METRICS
from sim.report.data_size import data_size
from sim.report.rows import MethodRow, method_rows
from sim.report.scores import Scores
from sim.stats.intervals import LEVEL, Interval, paired
from sim.text import listed, number


def answer(table: pd.DataFrame, scored: Scores) -> list[str]:
    """Sentences about one scenario; `table` = its rows of `summary`."""
    rows = method_rows(table)
    methods = [row for row in rows if not row.reference and not math.isnan(row.mean)]
    failed = [row for row in rows if row.diverged]
    if not methods:
        return ["No federated run finished, so there is nothing to recommend.", *diverged(failed)]
    best = methods[0]
    end = scored.end[(scored.end["scenario"] == best.scenario) & (scored.end["status"] == "done")]
    said = [
        best_method(best, len(methods)),
        *comparisons(best, methods[1:], end),
        *pooled_difference(best, rows),
        *site_effects(best),
        *traffic(best),
    ]
    return [*said, *diverged(failed)]


def best_method(best: MethodRow, methods: int) -> str:
    """Which method has the best mean, with its interval."""
    metric = METRICS[best.metric]
    word = "highest" if metric.better == "higher" else "lowest"
    value = f"{number(best.mean)}"
    if not math.isnan(best.low):
        value += f", 95 % interval {number(best.low)} to {number(best.high)} over {best.seeds} seeds"
    else:
        value += ", from one seed, which says nothing about chance"
    if methods == 1:
        return f"{best.method} reached a mean {metric.name} over sites of {value}."
    return f"{best.method} had the {word} mean {metric.name} over sites ({value})."


def comparisons(best: MethodRow, others: Sequence[MethodRow], end: pd.DataFrame) -> list[str]:
    """Which methods the best one differs from, by paired differences over the seeds that both finished.

    Intervals are Bonferroni-corrected, so that all of them together hold at LEVEL.
    """
    if not others:
        return []
    level = 1 - (1 - LEVEL) / len(others)  # Bonferroni: LEVEL for all comparisons together
    alike, behind, untested = [], [], []
    for other in others:
        difference = seed_difference(end, best.method, other.method, level)
        if difference is None or math.isnan(difference.low):
            untested.append(other.method)
        elif difference.low > 0:
            behind.append(other.method)
        else:
            alike.append(other.method)
    said = []
    if alike:
        said.append(f"With {best.seeds} seeds it cannot be told apart from {listed(alike)}.")
    if behind:
        said.append(f"It was ahead of {listed(behind)} by more than chance explains.")
    if untested:
        said.append(f"Too few seeds to tell it apart from {listed(untested)}.")
    return said


def seed_difference(end: pd.DataFrame, ours: str, theirs: str, level: float) -> Interval | None:
    """Interval of the difference in merit of two methods, seed by seed; None where they share no seed."""
    merit = {name: end[end["method"] == name].set_index("seed")["merit"] for name in (ours, theirs)}
    both = pd.concat([merit[ours], merit[theirs]], axis=1, join="inner").dropna().to_numpy(float)
    return paired(both[:, 0], both[:, 1], level) if len(both) else None


def pooled_difference(best: MethodRow, rows: Sequence[MethodRow]) -> list[str]:
    """Difference to the pooled model; none without a pooled run."""
    pooled = next((row for row in rows if row.reference == "pooled" and not math.isnan(row.mean)), None)
    if pooled is None:
        return []
    difference = number(abs(best.mean - pooled.mean))
    if difference == number(0.0):
        return [f"One model on all patients in one place does no better ({number(pooled.mean)}), to within 0.0005."]
    side = (
        "better" if np.sign(METRICS[best.metric].merit(np.array([best.mean, pooled.mean])) @ [1, -1]) > 0 else "worse"
    )
    return [
        f"Its mean is {difference} {side} than that of one model on all patients in one place ({number(pooled.mean)})."
    ]


def site_effects(best: MethodRow) -> list[str]:
    """How many sites gain and lose by joining; none without local models."""
    if not best.compared:
        return []
    gaining, losing = best.surely_gaining, best.surely_losing
    sure = ["", ""] if math.isnan(best.low) else [f" ({gaining} surely)", f" ({losing} surely)"]
    said = (
        f"Compared with training alone, {best.gaining} of {best.compared} sites do better under {best.method}{sure[0]} "
        f"and {best.losing} {'does' if best.losing == 1 else 'do'} worse{sure[1]}."
    )
    alone = [] if best.gain > 0 else ["On average the sites do no better than alone."]
    return [said, *alone, f"The site served worst is {best.worst_site}, with {number(best.worst)}."]


def traffic(best: MethodRow) -> list[str]:
    """Data moved by the best method, and data until the target was reached."""
    if math.isnan(best.mb_visit):
        return []
    said = [
        f"A site sends and receives {data_size(best.mb_visit)} per round it takes part in; "
        f"a whole run moves {data_size(best.mb_total)} over all sites."
    ]
    if best.reached:
        size = data_size(best.mb_to_target)
        after = f"half of these after {size} or less" if best.reached > 1 else f"after {size}"
        said.append(
            f"{best.reached} of {best.runs} runs came within the margin of the pooled model (target "
            f"{number(best.target)}), {after}."
        )
    elif not math.isnan(best.target):
        said.append(f"No run came within the margin of the pooled model (target {number(best.target)}).")
    return said


def diverged(rows: Sequence[MethodRow]) -> list[str]:
    """Runs that diverged: they are left out of the means, so they must be named."""
    if not rows:
        return []
    each = listed([f"{row.method} ({row.diverged} of {row.runs})" for row in rows])
    return [f"Some runs diverged and are in no mean: {each}."]
