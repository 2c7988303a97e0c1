"""The answer of trends: changes by group and what hiding costs in tables, and notes."""

import pandas as pd

from sim.analyses.tables import ESTIMATE, Answer, AnswerTable, annual_change, two_decimals
from sim.analyses.trends import WAYS, Trends, mean_bias, shares, without_trend
from sim.text import percent


def summarise_trends(found: Trends) -> Answer:
    """Answer of trends: annual percent change by group and way of hiding, and what hiding costs."""
    rows = [
        (
            f"{name}: {way.lower()}",
            *found.trend[name, way].apc,
            found.true.get(name, float("nan")),
            *found.trend[name, way][2:],
        )
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
        AnswerTable("Annual change of new cases, percent", by_group, {"estimate": annual_change, **share}),
        AnswerTable("What hiding costs, on average", overall, {**share, "distance from truth": two_decimals}),
    )
    hidden = f"Cells of 1 to {found.threshold - 1} patients are hidden (CMS: 1 to 10)." if found.threshold > 1 else ""
    notes = [
        f"{hidden or 'No cell is hidden.'} A trend needs at least three published years.",
        "Nothing hidden: for comparison, possible only in a simulation.",
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
