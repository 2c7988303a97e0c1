"""The answer of each analysis: tables of numbers and a few sentences."""

import numpy as np
import pandas as pd

from sim.analyses.benefit import INTERACTION, Benefit
from sim.analyses.discovery import LINK, Discovery, WayResult
from sim.analyses.features import Scope
from sim.analyses.tables import ESTIMATE, Answer, AnswerTable, percent_change, points, two_decimals, whole
from sim.analyses.trends import WAYS, Trends, mean_bias, shares, without_trend
from sim.stats.intervals import Z
from sim.text import count, percent, signed

NAN = float("nan")
VISIBLE = 0.005  # difference of log odds ratios that two decimals show


def wald(estimate: float, se: float) -> tuple[float, float, float]:
    """Estimate with the bounds of its 95 % Wald interval."""
    return estimate, estimate - Z * se, estimate + Z * se


def summarise_benefit(found: Benefit) -> Answer:
    """Answer of who benefits: gains, interaction, policies and sites."""
    gains = [
        (f"{word}, {how}", *interval, found.true_gain(has))
        for has, word in ((1, f"with {found.marker}"), (0, f"without {found.marker}"))
        for how, interval in (("adjusted", found.chances.gain(has)), ("crude", found.crude_gain(has)))
    ]
    phi = found.true_interaction()
    effects = [
        ("sums over sites, adjusted", *wald(*found.model.of(INTERACTION)), phi),
        ("mean of the sites (random effects)", *wald(found.meta.random, found.meta.random_se), phi),
        ("same effect at all sites (fixed)", *wald(found.meta.fixed, found.meta.fixed_se), phi),
        ("crude", *wald(*found.crude_interaction()), phi),
    ]
    sites = found.sites.assign(
        low=found.sites["estimate"] - Z * found.sites["se"], high=found.sites["estimate"] + Z * found.sites["se"]
    )
    tables = (
        AnswerTable(
            "Added chance of response by the new treatment, points", estimates(gains, "patients"), {"estimate": points}
        ),
        AnswerTable("Marker x treatment, log odds ratio", estimates(effects, "by"), {"estimate": signed}),
        policies(found),
        AnswerTable(
            "Marker x treatment by site, log odds ratio",
            sites[["site", "patients", "carriers", *ESTIMATE]],
            {"estimate": signed, "patients": count, "carriers": count},
        ),
    )
    return Answer(tables, found.traffic, benefit_notes(found))


def estimates(rows: list[tuple[str, float, float, float, float]], first: str) -> pd.DataFrame:
    """Rows of name, estimate, low, high, truth."""
    return pd.DataFrame(rows, columns=[first, *ESTIMATE])


def policies(found: Benefit) -> AnswerTable:
    """Mean chance of response under every way of treating: counted for what was done, else from the model."""
    marker = found.recorded
    rule = found.rule()
    ways = [("nobody treated", (False, False)), ("everybody treated", (True, True)), ("by the estimated rule", rule)]
    rows = []
    for name, treat in ways:
        given = np.where(marker > 0, treat[1], treat[0])
        rows.append((name, float(given.mean()), *found.chances.policy(treat), found.true_value(given)))
    events, patients = (float(counts.sum()) for counts in (found.arms[1], found.arms[0]))
    share = events / patients
    done = wald(share, float(np.sqrt(share * (1 - share) / patients)))
    rows.append(("as it was done", float(found.given.mean()), *done, found.true_value(found.given)))
    if found.truth is not None:
        best = (found.truth.new > found.truth.control).astype(np.float64)
        rows.append(("best for every patient (truth)", float(best.mean()), NAN, NAN, NAN, found.true_value(best)))
    table = pd.DataFrame(rows, columns=["policy", "treated", *ESTIMATE])
    return AnswerTable("Expected share of responders", table, {"estimate": percent, "treated": percent})


def benefit_notes(found: Benefit) -> tuple[str, ...]:
    """Notes on the rule, the covariates, the heterogeneity of the sites, and the truth."""
    meta, rule = found.meta, found.rule()
    words = {
        (False, False): "treat nobody",
        (True, True): "treat everybody",
        (False, True): f"treat patients with {found.marker} only",
        (True, False): f"treat patients without {found.marker} only",
    }
    odds = float(np.exp(found.model.of(INTERACTION)[0]))
    adjusted = ", ".join(found.model.names[3:]) or "nothing"
    notes = [
        f"Estimated rule: {words[rule]}. Odds ratio of the new treatment: {odds:.2f} times as high with the marker.",
        f"Adjusted for {adjusted}, with one intercept per site that never leaves it.",
    ]
    if meta.sites > 1:
        degrees = "1 degree" if meta.sites == 2 else f"{meta.sites - 1} degrees"
        notes.append(
            f"Spread of the sites: Cochran Q = {meta.q:.2f} on {degrees} of freedom (p = {meta.p:.2g}), "
            f"I2 = {meta.i2:.0%}, tau2 = {meta.tau2:.3f} (DerSimonian-Laird); "
            f"{meta.sites} of {len(found.sites)} sites can estimate it alone."
        )
    if found.truth is not None:
        left, error = found.findable_interaction(), found.gain_error()
        notes.append("Truth is that of these patients with their true marker.")
        if abs(left - found.true_interaction()) > VISIBLE:
            notes.append(
                f"By the marker as recorded, the true log odds ratio is {signed(left)}: tests at the sites err, so "
                "that no fit can find more."
            )
        notes.append(
            f"The gain of a single patient is off by {100 * error[0]:.1f} points (root mean square); the mean gain in "
            f"place of everyone's own would be off by {100 * error[1]:.1f}."
        )
    return tuple(notes)


def summarise_discovery(found: Discovery) -> Answer:
    """Answer of biomarker discovery: one row per way of searching."""
    rows = [
        (row.way, row.found.chosen, row.found.recall, row.found.false, row.far, row.stable.mean, bytes_up(row))
        for row in found.rows
    ]
    columns = ["way of searching", "chosen", "recall", "false", "far", "stability", "bytes up"]
    formats = dict.fromkeys(("recall", "false", "far"), percent) | {
        "stability": two_decimals,
        "bytes up": whole,
        "chosen": count,
    }
    few = f"{', '.join(found.chosen[:12])}{', ...' if len(found.chosen) > 12 else ''}" or "nothing"
    notes = [
        scope_note(found.scope),
        f"Chosen by sums and one joint model: {few}.",
        f"False: chosen but without an effect. Far: not even correlated ({LINK:g}) with a feature that has one; a "
        "neighbour of a true feature is no chance finding, and the joint model is there to tell them apart.",
        "Stability: Nogueira's, over random halves of every site's patients; 1 = always the same, 0 = chance.",
    ]
    if not np.isnan(found.agree):
        notes.append(f"Two sites that search alone share {found.agree:.0%} of what either finds (Jaccard).")
    if not np.isnan(found.pooled_gap):
        notes.append(f"Largest difference of a z score between sums and pooled rows: {found.pooled_gap:.1e}.")
    table = AnswerTable("Features that go with the outcome", pd.DataFrame(rows, columns=columns), formats)
    sent = {row.way: row.traffic for row in found.rows if row.traffic and row.traffic.bytes_up}
    return Answer((table,), {"Means and spreads of covariates and features": found.prepared, **sent}, tuple(notes))


def scope_note(scope: Scope) -> str:
    """A sentence on how many features are searched, how many have an effect, and how many sites do not measure."""
    where = " in at least one of the cancers" if scope.mixed else ""
    true = "" if scope.true is None else f", of which {scope.true} have an effect{where}"
    absent = f" A site does not measure {scope.absent:.0%} of them on average." if scope.absent else ""
    few = f"{', '.join(scope.left_out[:6])}{', ...' if len(scope.left_out) > 6 else ''}"
    left = f" Left out, as they never differ between patients of a site: {len(scope.left_out)} ({few})."
    return f"Searched: {scope.features:,} features{true}.{absent}{left if scope.left_out else ''}"


def bytes_up(row: WayResult) -> float:
    """Bytes that one site sends; NaN where rows would have to move."""
    return NAN if row.traffic is None else float(row.traffic.bytes_up)


def summarise_trends(found: Trends) -> Answer:
    """Answer of trends: annual percent change by group and way of hiding, and what hiding costs."""
    rows = [
        (f"{name}: {way.lower()}", *found.trend[name, way].apc, found.true.get(name, NAN), *found.trend[name, way][2:])
        for name in found.groups
        for way in WAYS
    ]
    by_group = pd.DataFrame(
        rows, columns=[found.by or "patients", *ESTIMATE, "cells hidden", "cells short", "patients lost"]
    )
    lost = ("cells hidden", "cells short", "patients lost")
    cost = [
        (way, *shares(found, way, ("hidden", "short", "lost")), without_trend(found, way), mean_bias(found, way))
        for way in WAYS
    ]
    overall = pd.DataFrame(cost, columns=["way", *lost, "without a trend", "distance from truth"])
    share = dict.fromkeys((*lost, "without a trend"), percent)
    tables = (
        AnswerTable("Annual change of new cases, percent", by_group, {"estimate": percent_change, **share}),
        AnswerTable("What hiding costs, on average", overall, {**share, "distance from truth": two_decimals}),
    )
    hidden = f"Cells of 1 to {found.threshold - 1} patients are hidden (CMS: 1 to 10)." if found.threshold > 1 else ""
    notes = [
        f"{hidden or 'No cell is hidden.'} A trend needs three years shown.",
        "Nothing hidden: what only a rehearsal can show, for comparison.",
        "Hide, then sum: each site hides its own small cells, so a total can be short without anyone seeing it.",
    ]
    if found.true:
        notes.append("Distance from truth, in points: mean over those that have a trend in every way.")
    if not found.true and (len(set(found.begin)) > 1 or len(set(found.end)) > 1):
        notes.append(
            f"Sites' first years lie between {min(found.begin)} and {max(found.begin)}, their last between "
            f"{min(found.end)} and {max(found.end)}: a trend is also that of sites that join or leave."
        )
    return Answer(tables, found.traffic, tuple(notes))
