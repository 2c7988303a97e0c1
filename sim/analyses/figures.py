"""The figures of biomarker discovery and of trends."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sim.analyses.discovery import Discovery, WayResult
from sim.analyses.trends import HIDE_FIRST, NOTHING_HIDDEN, SUM_FIRST, Trends
from sim.arrays import Floats
from sim.report.style import COLOURS, GREY, RC, WIDTH
from sim.stats.intervals import intervals
from sim.text import number, signed

FAR, NEAR, RECALL, STABLE = COLOURS[1], "#F3C3A6", COLOURS[0], COLOURS[2]
BAND = "#e8e8e8"
FAN = 0.15  # opacity of an interval
INK = {NOTHING_HIDDEN: GREY, SUM_FIRST: COLOURS[0], HIDE_FIRST: COLOURS[1]}


def discovery_figure(found: Sequence[Discovery]) -> Figure:
    """Recall, false discoveries and stability of every way of searching; means over seeds with their intervals."""
    ways = [row.way for row in found[0].rows]
    table = np.array([[numbers(row) for row in one.rows] for one in found])  # [seeds, ways, 4]
    panels = [
        (0, RECALL, "true features found"),
        (1, NEAR, "chosen that are not true"),
        (3, STABLE, "stability of the choice"),
    ]
    panels = [one for one in panels if np.isfinite(table[:, :, one[0]]).any()] or panels[:1]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 1.15 + 0.27 * len(ways)), layout="constrained")
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (column, colour, title) in zip(row, panels, strict=True):
            bars(axes, table[:, :, column], colour)
            if column == 1:
                axes.barh(range(len(ways)), np.nanmean(table[:, :, 2], axis=0), 0.62, color=FAR)
                keys = [Patch(color=NEAR, label="neighbour of a true one"), Patch(color=FAR, label="unrelated")]
                figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
            axes.set_title(title, loc="left")
        row[0].set_yticks(range(len(ways)), ways)
        row[0].set_ylim(len(ways) - 0.5, -0.5)
    return figure


def numbers(row: WayResult) -> list[float]:
    """Recall, false, far and stability of one way of searching."""
    return [row.found.recall, row.found.false, row.far, row.stable.mean]


def bars(axes: Axes, table: Floats, colour: str) -> None:
    """Bars of the means of a table [seeds, ways] over seeds, with intervals and numbers; a dash where there is none."""
    mean, low, high, _ = intervals(table)
    at = np.arange(len(mean))
    axes.barh(at, np.nan_to_num(mean), 0.62, color=colour)
    axes.hlines(at, np.clip(low, 0, 1), np.clip(high, 0, 1), color="#333333", linewidth=1)
    for spot, value, end in zip(at, mean, np.fmax(mean, np.clip(high, 0, 1)), strict=True):
        axes.text(
            float(np.nan_to_num(end)) + 0.02, float(spot), number(value, 2), va="center", fontsize=8, color="#222222"
        )
    axes.set_xlim(0, 1.24)
    axes.set_xticks([0, 0.5, 1])
    axes.tick_params(axis="y", length=0)


def trends_figure(found: Trends) -> Figure:
    """Counts by year of every group, whole and under both ways of hiding, with fitted and true trends."""
    across = 2 if len(found.groups) == 4 else min(len(found.groups), 3)
    down = -(-len(found.groups) // across)
    year = np.array(found.years, dtype=np.float64)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 1.0 + 2.15 * down), layout="constrained")
        grid = figure.subplots(down, across, sharex=True, squeeze=False).ravel()
        for axes, name in zip(grid, found.groups, strict=False):
            group_panel(axes, found, name, year, 0.09 * across)
        for axes in grid[len(found.groups) :]:
            axes.set_visible(False)
        for axes in grid[max(len(found.groups) - across, 0) : len(found.groups)]:
            axes.tick_params(axis="x", labelbottom=True)
        keys: list[Artist] = [
            Line2D([], [], color=INK[way], marker="o", markersize=4, label=way) for way in (SUM_FIRST, HIDE_FIRST)
        ]
        ring = Line2D(
            [], [], color=GREY, marker="o", markersize=6, markerfacecolor="none", linestyle="", label=NOTHING_HIDDEN
        )
        keys.append(ring)
        if found.true:
            keys.append(Line2D([], [], color="black", linestyle=(0, (2, 2)), linewidth=1, label="true trend"))
        keys.append(Patch(color=INK[SUM_FIRST], alpha=FAN, label="95 % interval"))
        if found.threshold > 1:
            keys.append(Patch(color=BAND, label=f"1 to {found.threshold - 1}: must be hidden"))
        figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False, fontsize=8, columnspacing=1.2)
        figure.supylabel("new patients per year, all sites", fontsize=9)
    return figure


def group_panel(axes: Axes, found: Trends, name: str, year: Floats, apart: float) -> None:
    """Panel of one group: rings = whole counts, dots = shown counts, lines = fitted trends, fans = their intervals."""
    whole = found.trend[name, NOTHING_HIDDEN].counts
    axes.axhspan(0.5, found.threshold - 0.5, color=BAND, linewidth=0)
    axes.plot(year, whole, "o", color=INK[NOTHING_HIDDEN], markersize=6.5, markerfacecolor="none", markeredgewidth=0.8)
    captions, top = [], max(float(whole.max()), found.threshold)
    for way in (SUM_FIRST, HIDE_FIRST):
        trend = found.trend[name, way]
        axes.plot(year, trend.counts, "o", color=INK[way], markersize=3.6)
        plot_course(axes, year, trend.counts, trend.apc.mean, INK[way])
        if np.isfinite(trend.apc.mean):
            low, high = (course(year, trend.counts, apc) for apc in (trend.apc.low, trend.apc.high))
            axes.fill_between(year, low, high, color=INK[way], alpha=FAN, linewidth=0)
            top = max(top, min(float(np.fmax(low, high).max()), 1.4 * top))
        captions.append((f"{signed(trend.apc.mean, 1)} %" if np.isfinite(trend.apc.mean) else "none", INK[way]))
    if name in found.true:
        plot_course(axes, year, whole, found.true[name], "black", (0, (2, 2)))
        captions.append((f"{signed(found.true[name], 1)} %", "black"))
    axes.set_title(name.replace("_", " "), loc="left", pad=16)
    for at, (text, ink) in enumerate(captions):
        axes.text(apart * at, 1.03, text, transform=axes.transAxes, color=ink, fontsize=8)
    axes.text(apart * len(captions), 1.03, "per year", transform=axes.transAxes, color=GREY, fontsize=8)
    axes.set_ylim(0, 1.1 * top)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def plot_course(
    axes: Axes, year: Floats, counts: Floats, apc: float, ink: str, dash: str | tuple[int, tuple[int, int]] = "-"
) -> None:
    """Draw the course of an annual percent change through the counts [years]; nothing where it is NaN."""
    if not np.isnan(apc):
        axes.plot(year, course(year, counts, apc), color=ink, linestyle=dash, linewidth=1.2)


def course(year: Floats, counts: Floats, apc: float) -> Floats:
    """Log-linear course [years] of an annual percent change, with the same total as the shown counts [years]."""
    shape, there = (1 + apc / 100) ** (year - year[0]), ~np.isnan(counts)
    return np.asarray(shape * counts[there].sum() / shape[there].sum())
