"""What a run came to, on the terminal."""

import math
from pathlib import Path

from rich import filesize
from rich.table import Column, Table
from rich.text import Text

from sim.cohort.tabular.source import GIVEAWAY
from sim.records.store import Run
from sim.run.uploads import left_out
from sim.terminal import output

SHOWN = 30  # sites in the table; all of them are in sites.parquet


def show(run: Run, home: Path) -> None:
    """Metrics of the last scored round at every site (if many, the largest), bytes, and where the records are."""
    console = output(soft_wrap=True)
    at = run.sites["round"].max()
    scored = run.sites[(run.sites["round"] == at) & (run.sites["split"] == "test")]
    last = scored[scored["model"] == run.info["deploys"]]
    wide = last.pivot(index="site", columns="metric", values="value")
    title = f"Round {at}, test patients, {run.info['deploys']} model"
    table = Table(Column("site", no_wrap=True), "test rows", "events", *wide.columns, title=title)
    table.caption = "all sites: total rows and events, mean of the metrics that a site can define"
    sites = run.info["sites"]
    largest = set(sorted(sites, key=lambda site: -sites[site]["test"]["rows"])[:SHOWN])
    for site in filter(largest.__contains__, sites):
        values = wide.loc[site] if site in wide.index else [math.nan] * len(wide.columns)
        table.add_row(
            Text(site), str(sites[site]["test"]["rows"]), str(sites[site]["test"]["events"]), *map(shown, values)
        )
    if len(sites) > SHOWN:
        table.add_row(f"{len(sites) - SHOWN} smaller", *[""] * (len(wide.columns) + 2))
    table.add_section()
    held = [site["test"] for site in sites.values()]
    counts = (str(sum(part[name] for part in held)) for name in ("rows", "events"))
    table.add_row("all sites", *counts, *map(shown, wide.mean()))
    console.print(table)
    for model in scored["model"].unique():
        if model != run.info["deploys"]:
            values = ", ".join(f"{name} {shown(value)}" for name, value in mean_metrics(run, model).items())
            console.print(f"The {model} model instead, mean over sites: {values}.")
    if run.info["estimates"]:
        console.print(coefficients(run))
    if len(run.rounds):
        down, up = run.rounds["bytes_down"].sum(), run.rounds["bytes_up"].sum()
        sent = f"{filesize.decimal(int(down))} down, {filesize.decimal(int(up))} up"
        size = f"; {run.info['parameters']} parameters" if run.info["parameters"] else ""
        console.print(f"Sent: {sent}, all sites and rounds together{size}.")
    if run.info["settings"]["system"]["dropout"] and len(run.rounds) > 1:
        answered = run.rounds["sites"].iloc[1:]
        console.print(f"Answered: {answered.mean():.1f} sites a round, {answered.min()} at least.")
    for said in run.info["roles"].values():
        console.print(f"{said}.", markup=False)
    if said := left_out(run.info["uploads"]):
        console.print(f"{said}.", markup=False)
    for note in ("faults", "not known", GIVEAWAY):
        if run.info["notes"].get(note, "none") != "none":
            console.print(f"{note.capitalize()}: {run.info['notes'][note]}.", markup=False)
    if run.info["status"] != "done":
        console.print(f"[bold red]{run.info['status']}[/]")
    console.print(f"Records: {home}", markup=False)


def coefficients(run: Run) -> Table:
    """Coefficients of an exact analysis with their intervals, in the units of the recorded columns."""
    found, hazards = run.info["estimates"], "cindex" in set(run.sites["metric"])
    title = f"{'Hazard' if hazards else 'Odds'} ratios, per {found['unit']} unit, from the training rows of all sites"
    if found["unit"] != "recorded":
        title = title.replace(" unit", "")
    robust = any(row["robust_se"] is not None for row in found["rows"])
    head = ["log ratio", "se", *(["robust"] if robust else []), "ratio", f"{found['level']:.0%} interval", "p"]
    numbers = (Column(name, justify="right", no_wrap=True) for name in head)
    table = Table(Column("feature", min_width=18), *numbers, title=title)
    for row in found["rows"]:
        errors = [row["se"], row["robust_se"]] if robust else [row["se"]]
        interval = f"{limit(row['low'])} to {limit(row['high'])}"
        fitted = [f"{part:.4g}" for part in (row["coefficient"], *errors)] + [limit(row["exp"])]
        table.add_row(Text(row["name"]), *fitted, interval, f"{row['p']:.1g}")
    if found["left_out"]:
        table.caption = f"left out, for they are the same in all training rows: {', '.join(found['left_out'])}"
    return table


def limit(value: float | None) -> str:
    """A ratio; infinity where the record has none."""
    return "∞" if value is None else f"{value:.4g}"


def mean_metrics(run: Run, model: str) -> dict[str, float]:
    """Metric -> mean over the sites that can define it, of a kind of model, test patients, last scored round."""
    sites = run.sites
    last = (sites["round"] == sites["round"].max()) & (sites["split"] == "test") & (sites["model"] == model)
    means = sites[last].groupby("metric", observed=True)["value"].mean()
    return {str(metric): float(mean) for metric, mean in means.items()}


def shown(value: float) -> str:
    """A metric's value; a dash where a site cannot define it."""
    return "–" if math.isnan(value) else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
