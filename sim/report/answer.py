"""The answer of a study in sentences that claim no more than its numbers support."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.metrics import METRICS
from sim.metrics.fairness import FEWEST_EVENTS
from sim.report.data_size import data_size
from sim.report.decision import Decision, Verdict
from sim.report.rows import MethodRow, method_rows
from sim.stats.intervals import FEWEST
from sim.text import first_few, listed, number, signed

NAMED = 6  # sites up to which a sentence names them; of more, it says how many


def answer(table: pd.DataFrame, decision: Decision | None) -> list[str]:
    """Sentences about one scenario, the first of which answers; `table` = its rows of `summary`."""
    rows = method_rows(table)
    failed = [row for row in rows if row.diverged]
    if decision is None:
        return ["No federated run finished, so there is nothing to recommend.", *diverged(failed)]
    best = decision.best
    said = [
        lead(decision),
        *level_of_best(decision),
        *other_methods(decision),
        *site_effects(decision),
        *pooled_difference(best, rows, decision.margin),
        *traffic(best),
    ]
    return [*said, *diverged(failed)]


def lead(decision: Decision) -> str:
    """The answer in one sentence: join or not, for whom, the mean gain, who loses, which methods are equally good."""
    advice = {
        Verdict.join: "Join",
        Verdict.same: "On average, joining makes no relevant difference",
        Verdict.alone: "Do not join",
        Verdict.undecided: "These runs do not show whether joining is worthwhile",
        Verdict.no_interval: "These runs cannot show whether joining is worthwhile",
        Verdict.not_asked: "No site was trained alone, so these runs cannot show whether to join",
    }[decision.verdict]
    if decision.verdict is Verdict.join and decision.losing:
        advice += f", except {some_sites(decision.losing)}"
    if decision.verdict is Verdict.alone and decision.gaining:
        advice += f", except {some_sites(decision.gaining)}"
    return f"{advice}{gain_words(decision)}; {equal_words(decision)}."


def gain_words(decision: Decision) -> str:
    """`: the gain over training alone is +0.021 AUROC ..., A and B gain, C loses`; empty without local models."""
    best = decision.best
    if decision.verdict is Verdict.not_asked:
        return ""
    interval = (
        f" (95 % interval {signed(best.gain_low)} to {signed(best.gain_high)})"
        if not math.isnan(best.gain_low)
        else " (no interval)"
    )
    mean = f"mean gain over training alone {signed(best.gain)} {METRICS[best.metric].name}{interval} with {best.method}"
    if decision.verdict is Verdict.no_interval:
        return f": {mean}"
    if not best.compared:
        return f": {mean}; no site is large enough to be judged individually"
    if not decision.gaining and not decision.losing:
        return f": {mean}; no site gains or loses significantly"
    return f": {mean}; {who(decision.gaining, 'gains', 'gain')}, {who(decision.losing, 'loses', 'lose')}"


def who(sites: Sequence[str], one: str, several: str) -> str:
    """`A and B gain significantly`, `no site loses significantly`."""
    if not sites:
        return f"no site {one} significantly"
    return f"{some_sites(sites)} {one if len(sites) == 1 else several} significantly"


def some_sites(sites: Sequence[str]) -> str:
    """The names of a few sites, of many their number."""
    return listed(sites) if len(sites) <= NAMED else f"{len(sites)} sites"


def equal_words(decision: Decision) -> str:
    """Which methods are equally good."""
    if decision.equal:
        every = not decision.worse and not decision.unclear and len(decision.methods) > 2
        return f"{f'all {len(decision.methods)} methods' if every else first_few(decision.methods)} are equally good"
    if decision.unclear:
        return f"{decision.best.method} has the best mean, not significantly better than {first_few(decision.unclear)}"
    return f"{decision.best.method} is the {'best' if decision.worse else 'only'} method"


def level_of_best(decision: Decision) -> list[str]:
    """The mean of the best method with its interval, and what equally good means."""
    best = decision.best
    metric = METRICS[best.metric]
    said = f"{best.method} has a mean {metric.name} over sites of {number(best.mean)}"
    if math.isnan(best.low):
        few = f"fewer than {FEWEST} seeds give none" if best.seeds < FEWEST else "all seeds have the same test patients"
        said += f", without an interval: {few}."
    else:
        said += f" (95 % interval {number(best.low)} to {number(best.high)}, {best.seeds} seeds)."
    if decision.equal:
        said += f" Equally good: the means differ by less than the margin of the study, {number(decision.margin, 3)}."
    return [said]


def other_methods(decision: Decision) -> list[str]:
    """The methods whose means are beyond the margin from the best one's."""
    said = []
    if decision.worse:
        each = listed([f"{name} (by {number(difference)})" for name, difference in decision.worse])
        said.append(f"Significantly worse than {decision.best.method}, by more than the margin: {each}.")
    if decision.unclear:
        said.append(
            f"Worse by more than the margin, but not significantly with {decision.best.seeds} "
            f"seed{'' if decision.best.seeds == 1 else 's'}: {first_few(decision.unclear)}."
        )
    return said


def site_effects(decision: Decision) -> list[str]:
    """How many sites gain and lose by joining, and how the smallest fare; none without local models."""
    best, small = decision.best, decision.small
    said = []
    if best.compared:
        said.append(
            f"Of {best.compared} site{'' if best.compared == 1 else 's'} with at least {FEWEST_EVENTS} test events, "
            f"{best.gaining} do{'es' if best.gaining == 1 else ''} better under {best.method} than alone, "
            f"{best.losing} worse."
        )
        if not math.isnan(best.low):
            said.append("Each site is tested at 5 %, so about one in twenty is significant by chance.")
    if best.worst_site and best.compared > 1:
        said.append(f"The site with the worst result is {best.worst_site}, with {number(best.worst)}.")
    if small is not None:
        one, every = best.too_small == 1, best.too_small == best.sites
        few = f"{best.too_small} site{' has' if one else 's have'} fewer than {FEWEST_EVENTS} test events"
        gain = "" if math.isnan(small.gain) or every else f"; together they gain {signed(small.gain)}"
        if gain and not math.isnan(small.low):
            gain += f" (95 % interval {signed(small.low)} to {signed(small.high)})"
        each = "it individually" if one else "them individually"
        said.append(f"{'All ' if every else ''}{few}, too few to judge {each}{gain}.")
    return said


def pooled_difference(best: MethodRow, rows: Sequence[MethodRow], margin: float) -> list[str]:
    """Difference to the pooled model; none without a pooled run."""
    pooled = next((row for row in rows if row.reference == "pooled" and not math.isnan(row.mean)), None)
    if pooled is None:
        return []
    ahead = float(METRICS[best.metric].merit(np.array([best.mean, pooled.mean])) @ [1, -1])
    side = "better" if ahead > 0 else "worse"
    other = "that of one model trained on all patients in one place"
    if number(abs(ahead)) == number(0.0):
        return [f"The mean of {best.method} is the same as {other}."]
    within = ", less than the margin," if abs(ahead) < margin else ""
    return [f"The mean of {best.method} is {number(abs(ahead))}{within} {side} than {other}."]


def traffic(best: MethodRow) -> list[str]:
    """Data moved by the best method, and data until the target was reached."""
    if math.isnan(best.mb_visit):
        return []
    said = [
        f"A site sends and receives {data_size(best.mb_visit)} per round it takes part in; "
        f"a complete run transfers {data_size(best.mb_total)} over all sites."
    ]
    if best.reached:
        size = data_size(best.mb_to_target)
        after = f"half of them after {size} or less" if best.reached > 1 else f"after {size}"
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
    return [f"Some runs diverged and are not included in any mean: {each}."]
