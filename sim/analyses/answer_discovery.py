"""The answer of biomarker discovery: the ways of searching in a table, and notes."""

import numpy as np
import pandas as pd

from sim.analyses.discovery import LINK, Discovery, WayResult
from sim.analyses.features import Scope
from sim.analyses.tables import Answer, AnswerTable, two_decimals, whole_number
from sim.text import count, percent


def summarise_discovery(found: Discovery) -> Answer:
    """Answer of biomarker discovery: one row per way of searching."""
    rows = [
        (row.way, row.found.chosen, row.found.recall, row.found.false, row.far, row.stable.mean, bytes_up(row))
        for row in found.rows
    ]
    columns = ["way of searching", "chosen", "recall", "false", "far", "stability", "bytes up"]
    formats = dict.fromkeys(("recall", "false", "far"), percent) | {
        "stability": two_decimals,
        "bytes up": whole_number,
        "chosen": count,
    }
    few = f"{', '.join(found.chosen[:12])}{', ...' if len(found.chosen) > 12 else ''}" or "nothing"
    notes = [
        scope_note(found.scope),
        f"Chosen by sums and one joint model: {few}.",
        f"False: chosen but without an effect. Far: not even correlated ({LINK:g}) with a feature that has one; a "
        "neighbour of a true feature is not a chance finding, and the joint model separates the two.",
        "Stability: Nogueira's, over random halves of every site's patients; 1 = always the same, 0 = chance.",
    ]
    if not np.isnan(found.agree):
        notes.append(f"Two sites that search alone share {found.agree:.0%} of what either finds (Jaccard).")
    if not np.isnan(found.pooled_gap):
        notes.append(f"Largest difference of a z score between sums and pooled rows: {found.pooled_gap:.1e}.")
    table = AnswerTable("Features that are associated with the outcome", pd.DataFrame(rows, columns=columns), formats)
    sent = {row.way: row.traffic for row in found.rows if row.traffic and row.traffic.bytes_up}
    return Answer((table,), {"Means and spreads of covariates and features": found.prepared, **sent}, tuple(notes))


def scope_note(scope: Scope) -> str:
    """A sentence on how many features are searched, how many have an effect, and how many sites do not measure."""
    where = " in at least one of the cancers" if scope.mixed else ""
    true = "" if scope.true is None else f", of which {scope.true} have an effect{where}"
    absent = f" A site does not measure {scope.absent:.0%} of them on average." if scope.absent else ""
    few = f"{', '.join(scope.left_out[:6])}{', ...' if len(scope.left_out) > 6 else ''}"
    left = f" Left out because they are constant within each site: {len(scope.left_out)} ({few})."
    return f"Searched: {scope.features:,} features{true}.{absent}{left if scope.left_out else ''}"


def bytes_up(row: WayResult) -> float:
    """Bytes that one site sends; NaN where rows would have to move."""
    return float("nan") if row.traffic is None else float(row.traffic.bytes_up)
