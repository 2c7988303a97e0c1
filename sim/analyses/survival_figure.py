"""The figure of survival: curves with their intervals, and the patients at risk below."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sim.analyses.survival import SurvivalFound
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.report.style import COLOURS, GREY, MORE_COLOURS, RC, WIDTH

FAN = 0.15  # opacity of an interval
TICKS = 6


def survival_figure(found: SurvivalFound) -> Figure:
    """Kaplan-Meier curves of all groups in years."""
    year = np.r_[0.0, found.times] / DAYS_PER_YEAR
    inks = (*COLOURS, *MORE_COLOURS)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 3.6 + 0.17 * len(found.groups)), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 0.3 + 0.17 * len(found.groups)])
        for curve, name, ink in zip(found.curves, found.groups, inks, strict=False):
            steps = [np.r_[1.0, part] for part in curve]
            upper.step(year, steps[0], where="post", color=ink, linewidth=1.4, label=name)
            upper.fill_between(year, steps[1], steps[2], step="post", color=ink, alpha=FAN, linewidth=0)
        upper.set_ylim(0, 1.02)
        upper.set_xlim(0, year[-1])
        p = f"; log-rank p = {found.test.p:.2g}" if found.test.df else ""
        upper.set_title(f"Survival (Kaplan-Meier), 95 % intervals{p}", loc="left")
        upper.legend(loc="upper right", frameon=False, fontsize=8)
        ticks = [tick for tick in MaxNLocator(TICKS).tick_values(0, year[-1]) if 0 <= tick <= year[-1]]
        upper.set_xticks(ticks)
        for at, ink in zip(range(len(found.groups)), inks, strict=False):
            for tick in ticks:
                held = found.at_risk[found.times >= tick * DAYS_PER_YEAR, at][0]
                lower.text(tick, at, f"{held:.0f}", color=ink, ha="center", va="center", fontsize=8)
        lower.set_ylim(len(found.groups) - 0.4, -0.6)
        lower.set_yticks(range(len(found.groups)), found.groups, fontsize=8)
        lower.tick_params(length=0)
        lower.tick_params(axis="y", pad=18)
        for side in ("left", "bottom"):
            lower.spines[side].set_visible(False)
        lower.set_title("at risk", loc="left", fontsize=8, color=GREY)
        lower.set_xlabel("years")
        lower.tick_params(labelbottom=True)
    return figure
