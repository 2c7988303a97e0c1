"""Panel of the rows of every site, with and without the event, and of its share of events."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from sim.report.style import COLOURS, GREY

MAX_NAMED = 40  # sites up to which each bar has a name


def panel_height(sites: int) -> float:
    """Height of the panel in inches."""
    return 1.25 + 0.19 * max(sites, 3) if sites <= MAX_NAMED else 4.0


def holdings(figure: Figure | SubFigure, frame: pd.DataFrame, event: str) -> None:
    """Draw rows and shares of events; `frame` = `describe` of a partition. Of many sites, ranks replace names."""
    frame = frame.sort_values(["rows", "site"], ascending=[False, True], ignore_index=True)
    sites = len(frame)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    bars(left, frame, event)
    shares(right, frame, event)
    left.set_ylim(sites - 0.4, -0.6)
    if sites <= MAX_NAMED:
        left.set_yticks(range(sites), frame["site"])
    else:
        left.set_ylabel(f"{sites} sites, largest first")
        ranks = np.linspace(1, sites, 5).round().astype(int)
        left.set_yticks(ranks - 1, [str(rank) for rank in ranks])


def bars(axes: Axes, frame: pd.DataFrame, event: str) -> None:
    """Draw stacked bars of rows with and without the event; an outline where bars would be thinner than a pixel."""
    at, rest = np.arange(len(frame)), frame["rows"] - frame["events"]
    legend = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "borderaxespad": 0.2, "frameon": False}
    if len(frame) <= 1000:
        tall = 0.8 if len(frame) <= MAX_NAMED else 1.0
        axes.barh(at, frame["events"], tall, color=COLOURS[1], label=event, linewidth=0)
        axes.barh(at, rest, tall, left=frame["events"], color=COLOURS[5], label=f"no {event}", linewidth=0)
    else:
        axes.fill_betweenx(at, 0, frame["events"], step="mid", color=COLOURS[1], label=event, linewidth=0)
        both = frame["events"] + rest
        axes.fill_betweenx(at, frame["events"], both, step="mid", color=COLOURS[5], label=f"no {event}", linewidth=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("rows")
    axes.legend(**legend)


def shares(axes: Axes, frame: pd.DataFrame, event: str) -> None:
    """Draw the share of events of every site; the line is that of all sites together."""
    overall = frame["events"].sum() / frame["rows"].sum()
    axes.axvline(overall, color=GREY, linewidth=1, linestyle=(0, (4, 2)))
    size = 34 if len(frame) <= MAX_NAMED else 9 if len(frame) <= 1000 else 2
    axes.set_rasterization_zorder(1)
    sns.scatterplot(
        x=frame["event_share"], y=np.arange(len(frame)), ax=axes, s=size, color=COLOURS[1], linewidth=0, zorder=0.5
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"share with {event} (all: {overall:.2f})")
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("")
