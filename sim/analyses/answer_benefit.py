"""The answer of who benefits: gains, interaction, policies and sites in tables, and notes."""

import numpy as np
import pandas as pd

from sim.analyses.benefit import Benefit
from sim.analyses.site_effects import INTERACTION
from sim.analyses.tables import ESTIMATE, Answer, AnswerTable, points
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
                f"By the marker as recorded, the true log odds ratio is {signed(left)}: tests at the sites make "
                "errors, so no fit can find more."
            )
        notes.append(
            f"The gain of a single patient is off by {100 * error[0]:.1f} points (root mean square); using the mean "
            f"gain for everyone would be off by {100 * error[1]:.1f}."
        )
    return tuple(notes)
