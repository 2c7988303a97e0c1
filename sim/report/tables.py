"""The two tables of a study, as frames of numbers: methods, and sites."""

from dataclasses import fields

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.metrics import BACKDOOR, METRICS
from sim.metrics.fairness import Tally, tally, worst
from sim.report.rows import MethodRow, SiteRow
from sim.report.scores import CELL, Scores, scores
from sim.report.site_gains import half_of_mean_gain, site_gains
from sim.report.table_text import terminal_text
from sim.stats.intervals import Intervals, Z, half_width
from sim.stats.selected import level_of_chosen
from sim.study.results import StudyRecords
from sim.study.study import REFERENCE_LABELS

LEGEND = (
    "Means over sites, then seeds. Worst: lowest mean of a site with enough test events. Gain, Lose: number of sites "
    "that do better or worse than alone (in brackets: significantly). To target: data sent by all sites, median over "
    "the runs that reached the target (their number). Local only: each site's own model. Pooled: one model on all "
    "patients in one place. "
    "Oracle: the true risk used by the generator of the patients."
)


def summary(records: StudyRecords, scored: Scores | None = None, gains: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per (scenario, method), columns of MethodRow: federated methods, best mean first, then the references.

    `scored` and `gains` spare their computation where the caller has them.
    """
    scored = scored or scores(records)
    gains = site_gains(records, scored) if gains is None else gains
    metric = METRICS[records.metric]
    table = in_order(over_seeds(scored.end).join(worst_and_tally(gains)).reset_index())
    merit, known = table["merit"].to_numpy(float), table["known"].to_numpy(int)
    overlap = np.concatenate([scored.overlaps(name) for name in table["scenario"]])
    half = half_width(table["sd"].to_numpy(float), known, overlap=overlap)
    errors = [scored.error(*cell) for cell in table[["scenario", "method"]].itertuples(index=False, name=None)]
    half = np.where(np.isnan(overlap), Z * np.array(errors), half)
    ends = np.stack([metric.from_merit(metric.merit_within(merit + side * half)) for side in (-1, 1)])
    federated = table[(table["reference"] == "") & table["merit"].notna()].groupby("scenario").size()
    levels = {name: level_of_chosen(int(federated.get(name, 1))) for name in table["scenario"].unique()}
    gain_half = table[CELL].join(half_of_mean_gain(scored, metric, levels), on=CELL)["gain_half"].to_numpy(float)
    absent = records.absent.groupby(["scenario", "method"]).size().rename("absent")
    lacking = table.join(absent, on=["scenario", "method"])["absent"].fillna(0).astype(int)
    count = scored.site.groupby("scenario")["site"].nunique()
    target = scored.end.groupby("scenario")["target"].mean()
    published = table["method"].map(dict(records.published)).to_numpy(float)
    error = table["sd"].to_numpy(float) / np.sqrt(np.maximum(known, 1))
    mean = metric.from_merit(merit)
    table = table.assign(
        metric=records.metric,
        asked=table["seeds"] + table["diverged"] + lacking,
        mean=mean,
        low=ends.min(0),
        high=ends.max(0),
        gain_low=np.clip(table["gain"] - gain_half, -metric.top, metric.top),
        gain_high=np.clip(table["gain"] + gain_half, -metric.top, metric.top),
        sites=table["scenario"].map(count).fillna(0).astype(int),
        target=metric.from_merit(table["scenario"].map(target).to_numpy(float)),
        **worst_epsilons(records, table),
        backdoor=backdoor_success(records, table),
        published=published,
        published_se=np.divide(mean - published, error, out=np.full(len(table), np.nan), where=error > 0),
    )
    return table[[column.name for column in fields(MethodRow)]]


def worst_epsilons(records: StudyRecords, table: pd.DataFrame) -> dict[str, pd.Series]:
    """Largest epsilon of the runs of each (scenario, method), for whole sites and for records; NaN without noise."""
    runs, cell = records.runs, ["scenario", "method"]
    found = {}
    for whose in ("sites", "records"):
        value = runs["run"].map({run: known.get(whose, np.nan) for run, known in records.epsilons.items()})
        largest = runs.assign(epsilon=value.astype(float)).groupby(cell)["epsilon"].max().rename("epsilon")
        found[f"epsilon_{whose}"] = table[cell].join(largest, on=cell)["epsilon"]
    return found


def backdoor_success(records: StudyRecords, table: pd.DataFrame) -> pd.Series:
    """Mean success of the backdoor of each (scenario, method) over sites, then seeds; NaN without that attack."""
    cell = ["scenario", "method"]
    done = records.runs[records.runs["status"] == "done"]
    rows = records.sites[records.sites["metric"] == BACKDOOR].drop_duplicates(["run", "round", "site"])
    last = rows[rows["round"] == rows.groupby("run", observed=True)["round"].transform("max")]
    found = last.groupby("run", observed=True)["value"].mean()
    mean = done.assign(backdoor=done["run"].map(found).astype(float)).groupby(cell)["backdoor"].mean()
    return table[cell].join(mean, on=cell)["backdoor"]


def over_seeds(end: pd.DataFrame) -> pd.DataFrame:
    """Means and counts of `Scores.end` over the seeds of every method, indexed by CELL."""
    done = end["status"] == "done"
    every = end.assign(diverged=~done).groupby(CELL, sort=False)["diverged"].sum().to_frame()
    finished = end[done].groupby(CELL, sort=False)
    found = finished.agg(
        seeds=("run", "size"),
        merit=("merit", "mean"),
        sd=("merit", "std"),
        known=("merit", "count"),
        sites_defined=("defined", "min"),
        mb_to_target=("mb_to_target", "median"),
        reached=("reached", "sum"),
        mb_total=("mb_total", "median"),
        mb_visit=("mb_visit", "median"),
        mb_control=("mb_control", "median"),
        mb_evaluation=("mb_evaluation", "median"),
    )
    table = every.join(found)
    counts = ["seeds", "known", "sites_defined", "reached"]
    return table.assign(**table[counts].fillna(0).astype(int))


def worst_and_tally(gains: pd.DataFrame) -> pd.DataFrame:
    """Worst site, mean gain and numbers of gaining and losing sites of every method, indexed by CELL."""
    rows = []
    for cell, every in gains[gains["kind"] != "together"].groupby(CELL, sort=False):
        sites = every[every["kind"] == "site"]
        at = worst(sites["merit"].to_numpy(float)) if len(sites) else -1
        found = Intervals(*(sites[name].to_numpy() for name in ("gain", "low", "high", "pairs")))
        compared = Tally(0, 0, 0, 0, 0) if cell[2] == "local" else tally(found)
        rows.append(
            dict(zip(CELL, cell, strict=True))
            | {
                "worst_site": sites["site"].iloc[at] if at >= 0 else "",
                "worst": sites["mean"].iloc[at] if at >= 0 else np.nan,
                "gain": every["gain"].mean() if cell[2] != "local" else np.nan,
                "too_small": int((every["kind"] == "small").sum()),
            }
            | compared._asdict()
        )
    return pd.DataFrame(rows).set_index(CELL)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by scenario in order of appearance; within each, federated methods by merit, then the references.

    A method without a finished run comes last of its kind, with empty site columns.
    """
    place = {"": 0} | {name: rank for rank, name in enumerate(REFERENCE_LABELS, 1)}
    scenario = {name: rank for rank, name in enumerate(table["scenario"].unique())}
    keys = pd.DataFrame(
        {
            "scenario": table["scenario"].map(scenario),
            "reference": table["reference"].map(place),
            "merit": -table["merit"].fillna(-np.inf),
            "method": table["method"],
        }
    )
    sorted_keys = keys.sort_values(["scenario", "reference", "merit", "method"])
    table = table.loc[sorted_keys.index].reset_index(drop=True)
    counts = ["too_small", *Tally._fields]
    return table.assign(worst_site=table["worst_site"].fillna(""), **table[counts].fillna(0).astype(int))


def per_site(records: StudyRecords, scored: Scores | None = None, gains: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per (scenario, site, method), columns of SiteRow; largest sites first, methods as in `summary`."""
    scored = scored or scores(records)
    gains = site_gains(records, scored) if gains is None else gains
    order = summary(records, scored, gains)[CELL]
    order["place"] = np.arange(len(order))
    size = gains[["scenario", "site"]].drop_duplicates()
    size["size"] = np.arange(len(size))
    joined = gains.merge(order, on=CELL).merge(size, on=["scenario", "site"])
    return joined.sort_values(["size", "place"], ignore_index=True)[[column.name for column in fields(SiteRow)]]


def print_summary(console: Console, frame: pd.DataFrame) -> None:
    """Print a summary to the terminal, one table per scenario; references are dimmed."""
    for scenario, rows in frame.groupby("scenario", sort=False):
        text = terminal_text(rows)
        table = Table(
            title=Text(str(scenario)) if scenario else None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False
        )
        for name in text.columns:
            table.add_column(Text(name), justify="left" if name == "Method" else "right", overflow="fold")
        for reference, cells in zip(rows["reference"], text.itertuples(index=False, name=None), strict=True):
            table.add_row(*map(Text, cells), style="dim" if reference else None)
        console.print(table)
    console.print(Text(LEGEND, style="dim"))
