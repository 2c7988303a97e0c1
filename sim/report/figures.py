"""The three figures of a study in one scenario: convergence, gain of every site, cost in bytes."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from sim.metrics import METRICS, Metric
from sim.metrics.statistics import half_width
from sim.report.cells import number
from sim.report.rows import MethodRow, SiteRow, method_rows, site_rows
from sim.report.scores import Scores
from sim.report.style import GREY, RC, REFERENCES, End, Look, label_ends, looks

WIDTH = 7.6  # inches
PANELS = 12  # sites up to which each has its own panel


def convergence(table: pd.DataFrame, scored: Scores) -> Figure:
    """Metric by round, mean over seeds with its 95 % band; `table` = rows of `summary` of one scenario."""
    return lines(table, scored, "round", "round")


def cost(table: pd.DataFrame, scored: Scores) -> Figure:
    """Metric by megabytes sent and received by all sites, log scale; diamonds where the target was reached."""
    return lines(table, scored, "mb", "megabytes sent and received, all sites (log scale)")


def lines(table: pd.DataFrame, scored: Scores, x: str, label: str) -> Figure:
    """Curves of all methods over column `x` of `Scores.curve`, references as level lines, labels at the right edge."""
    rows = method_rows(table)
    metric, look = METRICS[rows[0].metric], row_looks(rows)
    curve = scored.curve[(scored.curve["scenario"] == rows[0].scenario) & (scored.curve["status"] == "done")]
    bands = {row.method: band(curve[curve["method"] == row.method], metric) for row in rows if not row.reference}
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 4.3))
        longest = max(len(row.method) for row in rows) + 6
        axes = figure.add_axes((0.09, 0.13, 0.83 - min(0.0105 * longest, 0.4), 0.82))
        for method, found in bands.items():
            shown, style = found[found[x] > 0] if x == "mb" else found, look[method]
            axes.fill_between(shown[x], shown["low"], shown["high"], color=style.colour, alpha=0.13, linewidth=0)
            axes.plot(shown[x], shown["mean"], color=style.colour, linestyle=style.dash, linewidth=1.6)
        for row in rows:
            if row.reference:
                axes.axhline(row.mean, color=look[row.method].colour, linestyle=look[row.method].dash, linewidth=1)
        axes.set_ylim(*frame(bands, rows))
        axes.set_xlabel(label)
        axes.set_ylabel(f"{metric.name}, mean over sites")
        if x == "mb":
            log_axis(axes)
            to_edge(axes, bands, look)
            mark_targets(axes, rows, look)
        else:
            axes.set_xlim(0, max([found[x].max() for found in bands.values() if len(found)], default=1))
        label_ends(figure, axes, [End(f"{row.method} {number(row.mean)}", row.mean, look[row.method]) for row in rows])
    return figure


def row_looks(rows: Sequence[MethodRow | SiteRow]) -> dict[str, Look]:
    """Look of every method and reference."""
    named = {row.method: REFERENCES[row.reference] for row in rows if row.reference}
    return looks(row.method for row in rows if not row.reference) | named


def log_axis(axes: Axes) -> None:
    """Megabytes on a log scale, labelled at 1, 2 and 5 of every decade, or at decades only where there are many."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    subs = (1, 2, 5) if high / low < 1000 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)


def to_edge(axes: Axes, bands: dict[str, pd.DataFrame], look: dict[str, Look]) -> None:
    """A thin line from where a method's runs end to its label at the edge: methods do not spend the same."""
    for method, found in bands.items():
        if len(found):
            end, level = found["mb"].iloc[-1], found["mean"].iloc[-1]
            axes.plot([end, axes.get_xlim()[1]], [level, level], color=look[method].colour, linewidth=0.5, alpha=0.6)


def band(curve: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Mean over seeds and 95 % t band of one method by round: round, mb, mean, low, high."""
    found = curve.groupby("round").agg(
        mb=("mb", "mean"), merit=("merit", "mean"), sd=("merit", "std"), seeds=("merit", "count")
    )
    merit, half = found["merit"].to_numpy(float), half_width(found["sd"].to_numpy(float), found["seeds"].to_numpy())
    shown = {"mean": merit, "low": merit - half, "high": merit + half}
    return found[["mb"]].assign(**{name: metric.shown(values) for name, values in shown.items()}).reset_index()


def frame(bands: dict[str, pd.DataFrame], rows: list[MethodRow]) -> tuple[float, float]:
    """Bounds of y that hold all references and all curves after their first quarter: late differences shall be seen."""
    late = [
        found.loc[found["round"] >= 0.25 * found["round"].max(), ["mean", "low", "high"]] for found in bands.values()
    ]
    values = np.concatenate([np.array([row.mean for row in rows]), *(part.to_numpy(float).ravel() for part in late)])
    values = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([0.0, 1.0])
    margin = 0.04 * max(float(np.ptp(values)), 1e-3)
    return float(values.min()) - margin, float(values.max()) + margin


def mark_targets(axes: Axes, rows: list[MethodRow], look: dict[str, Look]) -> None:
    """The target as a dotted line, and a diamond at the median cost of each method whose runs mostly reached it."""
    if not np.isfinite(rows[0].target):
        return
    axes.axhline(rows[0].target, color="black", linestyle=(0, (1, 3)), linewidth=0.9)
    # Below the line where more is better: the pooled model's line runs on the other side.
    drop, side = (-3, "top") if METRICS[rows[0].metric].better == "higher" else (3, "bottom")
    axes.annotate(
        f"target {number(rows[0].target)}",
        (0, rows[0].target),
        (3, drop),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        va=side,
    )
    for row in rows:
        if not row.reference and row.reached > row.runs / 2:
            fill = look[row.method].colour
            axes.plot(row.mb_to_target, row.target, "D", color=fill, markersize=6, markeredgecolor="white", zorder=5)


def gains(sites: pd.DataFrame) -> Figure:
    """Gain of every site over training alone; `sites` = rows of `per_site` of one scenario."""
    rows = [row for row in site_rows(sites) if row.reference in ("", "pooled")]
    with mpl.rc_context(RC):
        return panels(rows) if len({row.site for row in rows}) <= PANELS else spread(rows)


def panels(rows: list[SiteRow]) -> Figure:
    """One panel a site: dot and interval of every method; hollow where the interval holds zero."""
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
            sure = row.low > 0 or row.high < 0
            axes.plot(row.gain, at, "o", color=ink, markersize=5, markerfacecolor=ink if sure else "white")
        if all(np.isnan(row.gain) for row in here):
            axes.text(0.5, 0.5, "not defined here", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_title(f"{site}\n{here[0].rows:,.0f} test rows", loc="left")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    for axes in grid[len(sites) :]:
        axes.set_visible(False)
    for axes in grid[max(len(sites) - across, 0) : len(sites)]:
        axes.tick_params(axis="x", labelbottom=True)
    grid[0].set_yticks(range(len(methods)), methods)
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.supxlabel("gain over the site's own model  (right of zero: the site gains by joining)", fontsize=9)
    return figure


def spread(rows: list[SiteRow]) -> Figure:
    """One line a method: middle half, median and points over sites, and how many sites gain."""
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
        # Golden-ratio steps look scattered and are the same every time.
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
