"""Panels of the differences between sites: case mix as a heat map, demographics, survival."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from sim.arrays import Ints
from sim.cohort.outcomes import DAYS_PER_YEAR, Survival
from sim.partition.case_mix import Mix, mix_of
from sim.partition.columns import GAP
from sim.partition.curves import kaplan_meier
from sim.report.style import COLOURS, GREY

MAX_COLOURED = 6  # sites up to which each survival curve has a colour and a name
FOLD = 2.0  # log2 of the ratio at which the heat map's colour ends: a quarter, four times
MAX_NUMBERS = 400  # cells up to which the heat map writes its numbers


def heat_map(figure: Figure | SubFigure, mixes: list[Mix], shown: Ints, names: list[str]) -> None:
    """Draw the share of every level at the shown sites; colour = log ratio to the share in the whole cohort."""
    columns = [
        (f"{mix.column}{word}", mix.shares[:, at], mix.overall[at])
        for mix in mixes
        for word, at in heat_map_levels(mix)
    ]
    share = np.stack([of_site[shown] for _, of_site, _ in columns], axis=1)
    whole = np.array([part for _, _, part in columns])
    with np.errstate(divide="ignore"):
        fold = np.log2(share / whole)
    axes = figure.subplots()
    colours = mpl.colormaps["PuOr_r"].with_extremes(bad="#C8C8C8")
    image = axes.imshow(
        np.ma.masked_invalid(fold), cmap=colours, vmin=-FOLD, vmax=FOLD, aspect="auto", interpolation="nearest"
    )
    labels = [f"{word}  {100 * part:.2g}%" for (word, _, _), part in zip(columns, whole, strict=True)]
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(shown)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if share.size <= MAX_NUMBERS:
        for (row, column), value in np.ndenumerate(share):
            ink = "white" if 1.2 < abs(fold[row, column]) < np.inf else "#222222"
            axes.text(
                column, row, f"{100 * value:.0f}" if value else "–", ha="center", va="center", fontsize=7, color=ink
            )
    bar = figure.colorbar(image, ax=axes, ticks=[-2, -1, 0, 1, 2], fraction=0.03, pad=0.01)
    bar.ax.set_yticklabels(["1/4", "1/2", "all", "2 x", "4 x"])
    bar.outline.set_visible(False)
    cells = "; cells in %" if share.size <= MAX_NUMBERS else ""
    sites = len(mixes[0].counts)
    few = f"; {len(shown)} of {sites} sites by size" if len(shown) < sites else ""
    axes.set_title(f"Case mix: share at a site over that in all{cells}; grey: nobody{few}", loc="left")


def heat_map_levels(mix: Mix) -> list[tuple[str, int]]:
    """Text and index of the levels that the heat map shows: of a flag only True, of a number its highest fifth."""
    gap = [(f" {GAP}", len(mix.levels) - 1)] if mix.levels[-1] == GAP else []
    named = list(mix.levels[: len(mix.levels) - len(gap)])
    if named in (["False", "True"], ["0", "1"]):
        return [("", 1), *gap]
    if len(named) == 5 and named[-1].startswith("> ") and named[0].startswith("<= "):
        return [(f" {named[-1]}", 4), *gap]
    return [(f" {word}", at) for at, word in enumerate(named)] + gap


def demographics(
    figure: Figure | SubFigure, table: pd.DataFrame, columns: list[str], site: Ints, shown: Ints, names: list[str]
) -> None:
    """Draw one panel per column: quartiles of a number, the share of a flag, or stacked shares of a category."""
    grid = figure.subplots(1, len(columns), sharey=True, squeeze=False).ravel()
    sites = int(site.max()) + 1
    for axes, column in zip(grid, columns, strict=True):
        series = table[column]
        if is_bool_dtype(series):
            mix = mix_of(column, series, site, sites)
            at = mix.levels.index("True") if "True" in mix.levels else None
            share = mix.shares[shown, at] if at is not None else np.zeros(len(shown))
            axes.axvline(mix.overall[at] if at is not None else 0.0, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)))
            axes.plot(share, np.arange(len(shown)), "o", color=COLOURS[0], markersize=4)
            axes.set_xlim(-0.03, 1.03)
        elif is_numeric_dtype(series):
            quartiles(axes, series.to_numpy(dtype=np.float64, na_value=np.nan), site, shown)
        else:
            stacked(axes, series, site, sites, shown)
        axes.set_title(column, loc="left")
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks(range(len(shown)), names)
    grid[0].set_ylim(len(shown) - 0.4, -0.6)


def quartiles(axes: Axes, value: NDArray[np.float64], site: Ints, shown: Ints) -> None:
    """Draw median and interquartile range of a number [R] at every shown site; the line is the median of all."""
    by_site, at = pd.Series(value).groupby(site), np.arange(len(shown))
    low, middle, high = (by_site.quantile(q).reindex(shown) for q in (0.25, 0.5, 0.75))
    axes.axvline(float(np.nanmedian(value)), color=GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.hlines(at, low, high, color=COLOURS[0], linewidth=1.6)
    axes.plot(middle, at, "o", color=COLOURS[0], markersize=4, markerfacecolor="white")


def stacked(axes: Axes, series: pd.Series, site: Ints, sites: int, shown: Ints) -> None:
    """Draw stacked shares of the levels of a category at every shown site."""
    mix = mix_of(str(series.name), series, site, sites)
    left = np.zeros(len(shown))
    for at, level in enumerate(mix.levels):
        ink = "#DDDDDD" if level == GAP else COLOURS[at % len(COLOURS)]
        share = mix.shares[shown, at]
        axes.barh(np.arange(len(shown)), share, 0.8, left=left, color=ink, label=level, linewidth=0)
        left += share
    axes.set_xlim(0, 1)
    across = {"handlelength": 0.8, "handletextpad": 0.4, "columnspacing": 0.8, "fontsize": 7.5, "borderaxespad": 0}
    below = axes.transAxes + ScaledTranslation(0, -18 / 72, axes.figure.dpi_scale_trans)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=below, ncols=2, frameon=False, **across)


def survival(
    figure: Figure | SubFigure, table: pd.DataFrame, outcome: Survival, site: Ints, shown: Ints, names: list[str]
) -> None:
    """Draw Kaplan-Meier curves of the shown sites, named where they are few, and of all sites together in black."""
    time = table[outcome.time_days].to_numpy(dtype=np.float64) / DAYS_PER_YEAR
    event = table[outcome.event].to_numpy(dtype=bool)
    sites = int(site.max()) + 1
    each = kaplan_meier(time, event, site, sites)
    whole = kaplan_meier(time, event, np.zeros(len(time), dtype=np.int64), 1)
    axes = figure.subplots()
    ends = []
    for at, number in enumerate(shown):
        corners = each.of(int(number))
        ends.append(corners[1][-1])
        (line,) = axes.step(*corners, where="post", color=GREY, linewidth=0.4)
        if len(shown) <= MAX_COLOURED:
            line.set(color=COLOURS[at], linewidth=1.3, label=names[at])
    axes.step(*whole.of(0), where="post", color="black", linewidth=1.6, label=f"all {sites} sites")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, float(np.quantile(time, 0.99)))
    axes.set_xlabel("years")
    few = f"; {len(shown)} of {sites} sites by size" if len(shown) < sites else ""
    axes.set_title(f"Survival (Kaplan-Meier){few}", loc="left")
    handles, labels = axes.get_legend_handles_labels()
    order = np.argsort([-y for y in [*ends[: len(labels) - 1], whole.survival[-1]]])
    axes.legend(
        [handles[at] for at in order],
        [labels[at] for at in order],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
    )
