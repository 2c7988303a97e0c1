"""The figure of a partition: size, case mix, demographics and survival of every site."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sim.arrays import Names
from sim.cohort.outcomes import Binary, Survival
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.partition.case_mix import mixes
from sim.report.holdings import MAX_NAMED, holdings, panel_height
from sim.report.site_panels import demographics, heat_map, heat_map_levels, survival
from sim.report.style import RC, WIDTH


def partition_figure(cohort: Cohort, outcome: str, sites: Names, frame: pd.DataFrame, columns: list[str]) -> Figure:
    """Figure of a cohort at `sites`; `frame` = `describe` of it, `columns` = demographic columns, drawn where present.

    The first panel shows all sites, the others up to MAX_NAMED: of more, so many at even steps in order of size.
    """
    names, site = factorize(sites)
    ranked = frame.sort_values(["rows", "site"], ascending=[False, True])["site"].to_numpy(dtype=str)
    picked = ranked[np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), MAX_NAMED)).round().astype(int))]
    shown = np.searchsorted(names, picked)
    words = [str(name) for name in picked]
    there = [column for column in columns if column in cohort.table]
    timed = [kind for kind in cohort.outcomes.values() if isinstance(kind, Survival)]
    mix = mixes(cohort, outcome, site, len(names))[1:]
    longest = max(len(f"{part.column}{word}") for part in mix for word, _ in heat_map_levels(part)) + 5
    rows = 0.19 * max(len(shown), 3)
    tall = [panel_height(len(frame)), rows + 0.6 + 0.072 * longest]
    tall += [rows + 1.3] * bool(there) + [2.7] * bool(timed)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, sum(tall)), layout="constrained")
        parts = list(np.ravel(figure.subfigures(len(tall), 1, height_ratios=tall, squeeze=False)))
        holdings(parts.pop(0), frame, event(cohort, outcome))
        heat_map(parts.pop(0), mix, shown, words)
        if there:
            demographics(parts.pop(0), cohort.table, there, site, shown, words)
        if timed:
            survival(parts.pop(0), cohort.table, timed[0], site, shown, words)
        return figure


def event(cohort: Cohort, outcome: str) -> str:
    """Name of the event; of several classes, any but the first."""
    if levels := cohort.levels(outcome):
        return f"other than {levels[0]}"
    return outcome if isinstance(cohort.outcome(outcome), Binary) else "event"
