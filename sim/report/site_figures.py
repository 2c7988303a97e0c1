"""The figure of sites: who gains and who loses by joining."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sim.report.rows import SiteRow, site_rows
from sim.report.style import GREY, RC, WIDTH, row_looks

MAX_PANELS = 12  # sites up to which each has its own panel


def gains(sites: pd.DataFrame) -> Figure:
    """Gain of every site over training alone; `sites` = rows of `per_site` of one scenario."""
    rows = [row for row in site_rows(sites) if row.reference in ("", "pooled") and row.judged]
    with mpl.rc_context(RC):
        return site_panels(rows) if len({row.site for row in rows}) <= MAX_PANELS else distributions(rows)


def site_panels(rows: list[SiteRow]) -> Figure:
    """One panel per site: dot and interval of every method; hollow dots where the interval contains zero."""
    sites, methods = (list(dict.fromkeys(values)) for values in ((r.site for r in rows), (r.method for r in rows)))
    look = row_looks(rows)
    across = min(len(sites), 4)
    down = -(-len(sites) // across)
    figure = Figure(figsize=(WIDTH, down * (0.21 * len(methods) + 0.62) + 0.45), layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, site in zip(grid, sites, strict=False):
        here = [row for row in rows if row.site == site]
        axes.axvline(0, color="black", linewidth=0.8)
        for row in here:
            at, ink = methods.index(row.method), look[row.method].colour
            axes.plot([row.low, row.high], [at, at], color=ink, linewidth=1.6, solid_capstyle="butt")
            significant = row.low > 0 or row.high < 0
            axes.plot(row.gain, at, "o", color=ink, markersize=5, markerfacecolor=ink if significant else "white")
        if all(np.isnan(row.gain) for row in here):
            axes.text(0.5, 0.5, "not defined here", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_title(f"{site}\n{here[0].rows:,.0f} test rows", loc="left")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    for axes in grid[len(sites) :]:
        axes.set_visible(False)
    for axes in grid[max(len(sites) - across, 0) : len(sites)]:
        axes.tick_params(axis="x", labelbottom=True)
    grid[0].xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    grid[0].set_yticks(range(len(methods)), methods)
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.supxlabel("gain over the site's own model  (right of zero: the site gains by joining)", fontsize=9)
    return figure


def distributions(rows: list[SiteRow]) -> Figure:
    """One line per method: interquartile range, median and points over sites, and how many sites gain."""
    methods = list(dict.fromkeys(row.method for row in rows))
    look = row_looks(rows)
    data = pd.DataFrame({"method": [row.method for row in rows], "gain": [row.gain for row in rows]}).dropna()
    figure = Figure(figsize=(WIDTH, 0.42 * len(methods) + 0.9), layout="constrained")
    axes = figure.subplots()
    for at, method in enumerate(methods):
        found = data.loc[data["method"] == method, "gain"].to_numpy()
        if not len(found):
            continue
        low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
        axes.barh(at, high - low, 0.56, low, facecolor="none", edgecolor="#888888", linewidth=0.9)
        axes.plot([middle, middle], [at - 0.28, at + 0.28], color="#333333", linewidth=1.2)
        # Steps of the golden ratio look random and are reproducible.
        height = at + 0.4 * ((np.arange(len(found)) * 0.618034) % 1 - 0.5)
        axes.scatter(found, height, s=9, color=look[method].colour, alpha=0.65, linewidth=0, zorder=3)
        text = f"{(found > 0).sum()} of {len(found)} gain"
        axes.text(1.01, at, text, transform=axes.get_yaxis_transform(), va="center", color="#222222", fontsize=8.5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("gain of a site over its own model, mean over seeds  (right of zero: the site gains by joining)")
    return figure
