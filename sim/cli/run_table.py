"""Print the result of a run on the terminal."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import filesize
from rich.table import Column, Table
from rich.text import Text

from sim.cohort.tabular.source import GIVEAWAY
from sim.records.outcome import how_it_ended
from sim.records.store import Run
from sim.records.summary import mean_metrics
from sim.run.uploads import left_out
from sim.terminal import output

SHOWN = 30  # sites in the table; all of them are in sites.parquet


def show(run: Run, home: Path) -> None:
    """Print the metrics of the last evaluated round at every site (if many, the largest), bytes, and the folder."""
    console = output(soft_wrap=True)
    at = run.sites["round"].max()
    scored = run.sites[(run.sites["round"] == at) & (run.sites["split"] == "test")]
    last = scored[scored["model"] == run.info["deploys"]]
    wide = last.pivot(index="site", columns="metric", values="value")
    title = f"Round {at}, test patients, {run.info['deploys']} model"
    table = Table(Column("site", no_wrap=True), "test rows", "events", *wide.columns, title=title)
    table.caption = "all sites: total rows and events; mean of each metric over the sites at which it is defined"
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
            values = ", ".join(f"{name} {shown(value)}" for name, value in mean_metrics(run.sites, model).items())
            console.print(f"For comparison, the {model} model, mean over sites: {values}.")
    if run.info["estimates"]:
        console.print(coefficients(run))
        for note in run.info["estimates"]["notes"]:
            console.print(f"{note}.", markup=False)
    if len(run.rounds):
        down, up = run.rounds["bytes_down"].sum(), run.rounds["bytes_up"].sum()
        sent = f"{filesize.decimal(int(down))} down, {filesize.decimal(int(up))} up"
        size = f"; {run.info['parameters']} parameters" if run.info["parameters"] else ""
        console.print(f"Sent: {sent}, in total over all sites and rounds{size}.")
        scoring, orders = (int(run.rounds[f"bytes_{kind}"].sum()) for kind in ("evaluation", "control"))
        if scoring + orders:
            beside = f"{filesize.decimal(scoring)} to evaluate models, {filesize.decimal(orders)} of training orders"
            console.print(f"In addition: {beside}.")
    if run.info["settings"]["system"]["dropout"] and len(run.rounds) > 1:
        answered = run.rounds["sites"].iloc[1:]
        console.print(f"Answered: {answered.mean():.1f} sites per round on average, at least {answered.min()}.")
    for said in run.info["roles"].values():
        console.print(f"{said}.", markup=False)
    if said := left_out(run.info["uploads"]):
        console.print(f"{said}.", markup=False)
    for whose, cost in run.info.get("privacy", {}).items():
        console.print(epsilons(whose, cost), markup=False)
    for note in ("faults", "not known", GIVEAWAY):
        if run.info["notes"].get(note, "none") != "none":
            console.print(f"{note.capitalize()}: {run.info['notes'][note]}.", markup=False)
    if stop := run.info.get("stopped"):
        why = f": no lower validation loss in {stop['patience']} scorings" if stop["patience"] else ""
        console.print(f"{how_it_ended(run.info)}{why}.")
    if run.info["status"] != "done":
        console.print(f"[bold red]{run.info['status']}[/]")
    console.print(f"Records: {home}", markup=False)


def coefficients(run: Run) -> Table:
    """Coefficients of an exact analysis with their intervals, in the units of the recorded columns."""
    found = run.info["estimates"]
    named = f"{found['ratio'].capitalize()} ratios" if found["ratio"] else "Coefficients"
    unit = "recorded unit" if found["unit"] == "recorded" else found["unit"]
    title = f"{named}, per {unit}, from the training rows of all sites"
    robust = any(row["robust_se"] is not None for row in found["rows"])
    differ = any("i2" in row for row in found["rows"])
    known = all(row["se"] is not None for row in found["rows"])  # a penalised fit has no errors
    head = [
        "log ratio" if found["ratio"] else "coefficient",
        *(["se"] if known else []),
        *(["robust"] if robust else []),
    ]
    head += [*(["ratio"] if found["ratio"] else []), *([f"{found['level']:.0%} interval", "p"] if known else [])]
    head += ["I2", "p of Q"] if differ else []
    numbers = (Column(name, justify="right", no_wrap=True) for name in head)
    table = Table(Column("feature", min_width=18), *numbers, title=title)
    for row in found["rows"]:
        errors = [row["se"]] * known + [row["robust_se"]] * robust
        tested = [f"{limit(row['low'])} to {limit(row['high'])}", f"{row['p']:.2g}"] if known else []
        fitted = [f"{part:.4g}" for part in (row["coefficient"], *errors)]
        fitted += [limit(row["exp"])] if found["ratio"] else []
        sites = [blank(row["i2"], ".0%"), blank(row["q_p"], ".2g")] if differ else []
        table.add_row(Text(row["name"]), *fitted, *tested, *sites)
    if found["interval_from"] == "robust_se":
        table.caption = "interval and p from the robust standard error"
    if differ:
        table.caption = "I2: share of the variation between sites that is not chance; p of Q: test of one common effect"
    if found["left_out"]:
        table.caption = f"left out because they are constant in all training rows: {', '.join(found['left_out'])}"
    return table


def blank(value: float | None, form: str) -> str:
    """A number in a format; a dash if there is none."""
    return "–" if value is None else format(value, form)


def limit(value: float | None) -> str:
    """A ratio; infinity if the record has none."""
    return "∞" if value is None else f"{value:.4g}"


def epsilons(whose: str, cost: Mapping[str, Any]) -> str:
    """The epsilons of a run's sites or records in one line, with the accountant and its assumptions."""
    values = (cost["epsilon"][name] for name in ("min", "median", "max"))
    low, middle, high = ("inf" if value is None else f"{value:.3g}" for value in values)
    deltas = cost["delta"].values() if isinstance(cost["delta"], dict) else [cost["delta"]]
    delta = " to ".join(dict.fromkeys(f"{value:.2g}" for value in (min(deltas), max(deltas))))
    return (
        f"Privacy of {whose}: epsilon {high} at the worst site (lowest {low}, median {middle}), delta {delta}; "
        f"{cost['accountant']}; {cost['of']}."
    )


def shown(value: float) -> str:
    """A metric's value; a dash if it is not defined at a site."""
    return "–" if math.isnan(value) else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
