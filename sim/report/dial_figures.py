"""The figures of a study with dials: results at the sites for every value of every dial."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from sim.metrics import METRICS
from sim.report.rows import MethodRow, SiteRow, method_rows, site_rows
from sim.report.style import RC, WIDTH, Look, row_looks
from sim.study.dial import Dial
from sim.text import setting_value

ROW = 1.25  # inches per dial
MAX_SITES = 24  # sites up to which `losers` is drawn, with one row per site
ACROSS = 4  # panels of `losers` side by side
WITH_BAND = ("", "local")  # federated methods and references with a band; more bands would hide each other
CLIP = 0.1  # gain at which the colour scale ends


def curves(dials: Sequence[Dial], table: pd.DataFrame) -> Figure:
    """A row of three panels per dial: mean over sites, worst site, sites that lose; `table` = `summary`.

    All dials share their axes, so that strong and weak ones can be compared.
    """
    rows = method_rows(table)
    look, metric = row_looks(rows), METRICS[rows[0].metric]
    methods = list(dict.fromkeys(row.method for row in rows))
    cell = {(row.scenario, row.method): row for row in rows}
    with mpl.rc_context(RC):
        layout = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06)
        figure = Figure(figsize=(WIDTH, ROW * len(dials) + 0.75), layout=layout)
        grid = figure.subplots(len(dials), 3, squeeze=False, sharey="col")
        for dial, panels in zip(dials, grid, strict=True):
            for method in methods:
                here = [(at, cell.get((label, method))) for at, label in enumerate(dial.labels)]
                draw_method(panels, {at: row for at, row in here if row is not None}, look[method])
            for axes in panels:
                dial_ticks(axes, dial)
            panels[0].set_title(f"{dial.title}:  {dial.setting}", loc="left", fontsize=8.5, color="#222222")
        compared = max(row.compared for row in rows)
        grid[0][2].set_ylim(-0.04 * compared, 1.04 * compared)
        grid[0][2].yaxis.set_major_locator(MaxNLocator(3, integer=True))
        names = (f"{metric.name}, mean over sites", "at the worst site", f"sites losing, of {compared}")
        for axes, name in zip(grid[0], names, strict=True):
            axes.annotate(name, (0.5, 1), (0, 22), xycoords="axes fraction", textcoords="offset points", ha="center")
        key = grid[0][0]
        handles = [key.plot([], [], color=look[name].colour, linestyle=look[name].dash)[0] for name in methods]
        handles += key.plot([], [], color="black", linestyle=":", linewidth=0.9)
        figure.legend(
            handles,
            [*methods, "losing significantly"],
            loc="outside upper center",
            ncols=len(handles),
            frameon=False,
            fontsize=8.5,
        )
    return figure


def draw_method(panels: Sequence[Axes], at: dict[int, MethodRow], look: Look) -> None:
    """Draw the three curves of one method along one dial; `at` = index of the value -> row."""
    x, rows, ink = list(at), list(at.values()), look.colour
    if all(row.reference in WITH_BAND for row in rows):
        low, high = [row.low for row in rows], [row.high for row in rows]
        panels[0].fill_between(x, low, high, color=ink, alpha=0.14, linewidth=0)
    curves: dict[int, Sequence[float]] = {0: [row.mean for row in rows], 1: [row.worst for row in rows]}
    if any(row.compared and not row.reference for row in rows):
        curves[2] = [row.losing for row in rows]
        panels[2].plot(x, curves[2], "o", color=ink, markersize=3.5)
        panels[2].plot(x, [row.losing_significantly for row in rows], color=ink, linewidth=0.9, linestyle=":")
    for place, y in curves.items():
        panels[place].plot(x, y, color=ink, linestyle=look.dash, linewidth=1.4)


def dial_ticks(axes: Axes, dial: Dial) -> None:
    """Set one tick per value, evenly spaced even where the values are not."""
    axes.set_xticks(range(len(dial.steps)), [setting_value(value) for value in dial.steps])
    axes.set_xlim(-0.15, len(dial.steps) - 0.85)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="y", color="#e4e7ec", linewidth=0.6)


def losers(dials: Sequence[Dial], sites: pd.DataFrame, method: str) -> Figure:
    """A panel per dial: gain of each site over training alone, largest site on top; `sites` = `per_site`.

    Sites too small to be judged individually are combined in the last row.
    """
    rows = [row for row in site_rows(sites) if row.method == method and row.judged]
    down = -(-len(dials) // ACROSS)
    most = max(len([row for row in rows if row.scenario == label]) for dial in dials for label in dial.labels)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, down * (0.145 * most + 0.62) + 0.5), layout="constrained")
        grid = figure.subplots(down, ACROSS, squeeze=False, sharey=True).ravel()
        for axes, dial in zip(grid, dials, strict=False):
            columns = [[row for row in rows if row.scenario == label] for label in dial.labels]
            image = gain_panel(axes, dial, columns, most)
        for axes in grid[len(dials) :]:
            axes.set_visible(False)
        for axes in grid[::ACROSS]:
            axes.set_yticks([0, most - 1], ["largest", "smallest"])
        bar = figure.colorbar(image, ax=list(grid), orientation="horizontal", aspect=60, pad=0.01, extend="both")
        bar.set_label(
            f"gain of {method} over the site's own model; dots: significant, the 95 % interval excludes zero",
            fontsize=8.5,
        )
        bar.outline.set_linewidth(0)
    return figure


def gain_panel(axes: Axes, dial: Dial, columns: list[list[SiteRow]], most: int) -> mpl.image.AxesImage:
    """Draw the gains of all sites along one dial, one column per value; returns the image for the colour bar."""
    gains = np.full((most, len(columns)), np.nan)
    for at, column in enumerate(columns):
        gains[: len(column), at] = [row.gain for row in column]
        significant = [place for place, row in enumerate(column) if row.low > 0 or row.high < 0]
        axes.plot([at] * len(significant), significant, ".", color="black", markersize=2.2)
    image = axes.imshow(gains, cmap="RdBu", norm=TwoSlopeNorm(0, -CLIP, CLIP), aspect="auto", interpolation="nearest")
    axes.set_facecolor("#d5d5d5")
    axes.set_xticks(range(len(dial.steps)), [setting_value(value) for value in dial.steps])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    words = dial.title.split(" (")[0]
    axes.set_title(f"{words}\n{dial.setting}", loc="left", fontsize=7.5)
    return image
