"""The two figures of curves in one scenario: the metric by round, and by bytes moved."""

import math

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sim.metrics import METRICS
from sim.report.data_size import Unit, common_unit
from sim.report.intervals import curve_bands, y_limits
from sim.report.rows import MethodRow, method_rows
from sim.report.scores import Scores
from sim.report.style import OTHERS, RC, WIDTH, End, Look, label_ends, labelled, row_looks
from sim.text import number


def convergence(table: pd.DataFrame, scored: Scores) -> Figure:
    """Metric by round, mean over seeds with its band; `table` = rows of `summary` of one scenario."""
    return metric_curves(table, scored, "round")


def cost(table: pd.DataFrame, scored: Scores) -> Figure:
    """Metric by data sent and received by all sites, log scale; diamonds where the target was reached."""
    return metric_curves(table, scored, "mb")


def metric_curves(table: pd.DataFrame, scored: Scores, x: str) -> Figure:
    """Curves of all methods over column `x` of `Scores.curve`, references as horizontal lines, labels at the right.

    Of many methods only some are coloured and labelled, see `labelled`; the others are thin and grey.
    """
    rows = method_rows(table)
    named = labelled(rows)
    metric, look = METRICS[rows[0].metric], row_looks(named)
    curve = scored.curve[(scored.curve["scenario"] == rows[0].scenario) & (scored.curve["status"] == "done")]
    curves = curve_bands(curve[curve["reference"] == ""], metric)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 4.3))
        longest = max(len(row.method) for row in named) + 6
        axes = figure.add_axes((0.09, 0.13, 0.83 - min(0.0105 * longest, 0.4), 0.82))
        for method, found in curves.items():
            shown = found[found[x] > 0] if x == "mb" else found
            trained = shown[~shown["carried"]]
            if method not in look:
                axes.plot(trained[x], trained["mean"], color=OTHERS.colour, linewidth=0.7, zorder=1)
                continue
            style = look[method]
            if x == "round":
                axes.fill_between(shown[x], shown["low"], shown["high"], color=style.colour, alpha=0.13, linewidth=0)
            axes.plot(trained[x], trained["mean"], color=style.colour, linestyle=style.dash, linewidth=1.6)
            if x == "round" and len(trained) < len(shown):
                mark_stop(axes, shown, len(trained) - 1, style.colour)
        for row in rows:
            if row.reference:
                axes.axhline(row.mean, color=look[row.method].colour, linestyle=look[row.method].dash, linewidth=1)
        axes.set_ylim(*y_limits(curves, rows))
        axes.set_ylabel(f"{metric.name}, mean over sites")
        if x == "mb":
            size = common_unit(rows)
            axes.set_xlabel(f"{size.word} sent and received, all sites (log scale)")
            log_axis(axes, size)
            extend_to_edge(axes, curves, look)
            mark_targets(axes, rows, look)
        else:
            axes.set_xlabel("round")
            axes.set_xlim(0, max([found[x].max() for found in curves.values() if len(found)], default=1))
        label_ends(figure, axes, [End(f"{row.method} {number(row.mean)}", row.mean, look[row.method]) for row in named])
    return figure


def mark_stop(axes: Axes, found: pd.DataFrame, at: int, colour: str) -> None:
    """Draw a bar where early stopping ended the last run of a method, and a thin line for the value that stands."""
    later = found.iloc[at:]
    axes.plot(later["round"], later["mean"], color=colour, linewidth=0.5, alpha=0.6)
    axes.plot(later["round"].iloc[0], later["mean"].iloc[0], "|", color=colour, markersize=11, markeredgewidth=1.6)


def log_axis(axes: Axes, size: Unit) -> None:
    """Set a log scale, labelled at 1, 2 and 5 of every decade, or at decades only where there are many."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda mb, _: f"{mb * size.per_mb:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)


def extend_to_edge(axes: Axes, curves: dict[str, pd.DataFrame], look: dict[str, Look]) -> None:
    """Draw a thin line from the end of each curve to its label at the edge, as methods do not move the same amount."""
    for method, found in curves.items():
        if len(found) and method in look:
            end, level = found["mb"].iloc[-1], found["mean"].iloc[-1]
            axes.plot([end, axes.get_xlim()[1]], [level, level], color=look[method].colour, linewidth=0.5, alpha=0.6)


def mark_targets(axes: Axes, rows: list[MethodRow], look: dict[str, Look]) -> None:
    """Draw the target as a dotted line, and a diamond at the median cost of methods whose runs mostly reached it."""
    if math.isnan(rows[0].target):
        return
    axes.axhline(rows[0].target, color="black", linestyle=(0, (1, 3)), linewidth=0.9)
    # The label goes below the line where more is better: the line of the pooled model is on the other side.
    drop, side = (-3, "top") if METRICS[rows[0].metric].better == "higher" else (3, "bottom")
    axes.annotate(
        f"target {number(rows[0].target)}",
        (0, rows[0].target),
        (3, drop),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        va=side,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
    )
    for row in rows:
        if not row.reference and row.reached > row.runs / 2:
            fill, top = look.get(row.method, OTHERS).colour, 5 if row.method in look else 4
            axes.plot(row.mb_to_target, row.target, "D", color=fill, markersize=6, markeredgecolor="white", zorder=top)
