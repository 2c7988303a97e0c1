"""The forest plot of who benefits: the estimate of every site alone, and those of all sites together."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.analyses.benefit import Benefit
from sim.analyses.site_effects import INTERACTION
from sim.arrays import Floats
from sim.report.style import COLOURS, GREY, RC, WIDTH
from sim.stats.intervals import Z
from sim.text import signed

NAMED = 30  # sites up to which each has its name and numbers
SITE, TOTAL, TRUE = COLOURS[0], COLOURS[1], "black"


def forest(found: Benefit) -> Figure:
    """Sites in order of size, then the estimate by sums over sites and the mean of the sites; black = truth."""
    sites = found.sites.sort_values(["patients", "site"], ascending=[False, True], ignore_index=True)
    named = len(sites) <= NAMED
    totals = [
        ("sums over all sites", *found.model.of(INTERACTION)),
        ("mean of the sites", found.meta.random, found.meta.random_se),
    ]
    totals = [row for row in totals if np.isfinite(row[1])]
    height = 1.5 + 0.24 * (min(len(sites), NAMED) + len(totals))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, height))
        bottom, top = 0.62 / height, 1 - 0.5 / height
        longest = max(
            18, *(len(f"{name}  ({rows:,})") for name, rows in zip(sites["site"], sites["patients"], strict=True))
        )
        left = min(0.012 * longest + 0.02, 0.45) if named else 0.24
        axes = figure.add_axes((left, bottom, 0.75 - left, top - bottom))
        step = 1.0 if named else NAMED / len(sites)
        at = np.arange(len(sites), dtype=np.float64) * step
        estimate, error = (sites[name].to_numpy(dtype=np.float64) for name in ("estimate", "se"))
        site_intervals(axes, estimate, error, at, named)
        axes.plot(sites["truth"], at, "|", color=TRUE, markersize=10 if named else 4, markeredgewidth=1.5, zorder=4)
        edge = float(at[-1]) + 0.75
        spots = edge + 0.6 + np.arange(len(totals))
        for (name, middle, se), spot in zip(totals, spots, strict=True):
            corners = [(middle - Z * se, spot), (middle, spot - 0.3), (middle + Z * se, spot), (middle, spot + 0.3)]
            axes.add_patch(mpl.patches.Polygon(corners, closed=True, facecolor=TOTAL, edgecolor="none", zorder=3))
            label(axes, spot, name, estimate_text(middle, se), bold=True)
        if named:
            names = [f"{name}  ({rows:,})" for name, rows in zip(sites["site"], sites["patients"], strict=True)]
            for name, middle, se, spot in zip(names, estimate, error, at, strict=True):
                label(axes, spot, name, estimate_text(middle, se) if np.isfinite(se) else "cannot tell alone")
        else:
            axes.set_ylabel(f"{len(sites)} sites, largest first")
        axes.axhline(edge, color="#bbbbbb", linewidth=0.8)
        axes.axvline(0, color="#888888", linewidth=0.8)
        if np.isfinite(found.true_interaction()):
            axes.axvline(found.true_interaction(), color=TRUE, linewidth=0.9, linestyle=(0, (2, 2)))
        finish(axes, found, float(spots[-1]) + 0.8, "site (patients)" if named else "")
    return figure


def estimate_text(middle: float, se: float) -> str:
    """Estimate and interval as text."""
    return f"{signed(middle, 2)} ({signed(middle - Z * se, 2)} to {signed(middle + Z * se, 2)})"


def site_intervals(axes: Axes, estimate: Floats, error: Floats, at: Floats, named: bool) -> None:
    """Interval and square of every site that has an estimate; a larger square has a shorter interval."""
    there = np.isfinite(error)
    if not there.any():
        return
    middle, half, at = estimate[there], Z * error[there], at[there]
    axes.hlines(at, middle - half, middle + half, color=SITE, linewidth=1.4 if named else 0.5)
    area = 12 + 40 * (half.min() / half) ** 2 if named else np.full(len(at), 4.0)
    axes.scatter(middle, at, marker="s", s=area, color=SITE, linewidth=0, zorder=3)


def label(axes: Axes, at: float, left: str, right: str, bold: bool = False) -> None:
    """Name on the left of a row, numbers on its right."""
    place, weight = axes.get_yaxis_transform(), "bold" if bold else "normal"
    axes.text(-0.02, at, left, transform=place, ha="right", va="center", fontsize=8.5, fontweight=weight)
    axes.text(1.02, at, right, transform=place, ha="left", va="center", fontsize=8.5, fontweight=weight)


def finish(axes: Axes, found: Benefit, low: float, head: str) -> None:
    """Set limits that show most intervals whole, and label the axes."""
    table = found.sites.dropna(subset="se")
    ends = [found.model.of(INTERACTION)[0], 0.0, *found.sites["truth"].dropna()]
    if len(table):
        reach = np.minimum(Z * table["se"], 4 * Z * table["se"].min())
        ends += [*(table["estimate"] - reach), *(table["estimate"] + reach)]
    room = 0.06 * (max(ends) - min(ends))
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.set_ylim(low, -0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{found.marker} x treatment, log odds ratio  (right of zero: more benefit with the marker)")
    heads = [(-0.02, "right", head, GREY), (1.02, "left", "estimate (95 % interval)", GREY)]
    if found.truth is not None:
        heads.append((0.5, "center", "black: truth", TRUE))
    for x, side, text, ink in heads:
        axes.text(x, 1.0, text, transform=axes.transAxes, ha=side, va="bottom", color=ink, fontsize=8.5)
