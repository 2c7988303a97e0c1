"""`fedtrial run`: everything is checked first, then Hydra takes over."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig
from rich import filesize
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sim.assets import root
from sim.checks import Refused, print_refusal
from sim.cohort.tabular.source import GIVEAWAY
from sim.config.compose import build, cells, experiment
from sim.config.experiment import register
from sim.profiling import stage
from sim.progress import bar, compiling
from sim.records.store import Run, read
from sim.run.sweep import Preparing, keep, latest, unfinished

SHOWN = 30  # sites in the table; all of them are in sites.parquet


def launch(words: Sequence[str]) -> None:
    """Hydra's command line over `one`; refuses a wrong cell before any cell runs."""
    asked = get_args_parser().parse_args(list(words))
    for option in ("config_name", "config_path", "config_dir"):
        if getattr(asked, option):
            raise Refused(f"--{option.replace('_', '-')}: fedtrial has its own configs. Set key=value, or a scenario.")
    wanted = []
    with stage("settings"):
        if not (asked.help or asked.hydra_help):
            wanted = [experiment(cell) for cell in (cells(asked.overrides) if asked.multirun else [asked.overrides])]
        register()
    preparing = latest()
    if asked.multirun and wanted and not (asked.cfg or asked.info):
        for first in unfinished(wanted[:1], Path(wanted[0].results.dir)).values():
            preparing(first)  # a bad file is told before Hydra makes a folder

    def job(config: DictConfig) -> None:
        one(config, preparing)

    sys.argv = ["fedtrial run", *words]
    app = hydra.main(version_base="1.3", config_path=str(root() / "configs"), config_name="config")(job)
    app()


def one(config: DictConfig, preparing: Preparing) -> None:
    """One run: compute it unless it is there, and say what came out."""
    try:
        wanted = build(config)
        with compiling(), bar(f"{wanted.rounds} rounds", wanted.rounds) as watch:
            home = keep(wanted, Path(wanted.results.dir), watch, preparing)
        show(read(home), home)
    except Refused as refusal:  # Hydra would print a traceback and exit with 1
        print_refusal(refusal)
        sys.exit(2)


def show(run: Run, home: Path) -> None:
    """Metrics of the last scored round at every site (if many, the largest), bytes, and where the records are."""
    console = Console(highlight=False, soft_wrap=True)
    at = run.sites["round"].max()
    scored = run.sites[(run.sites["round"] == at) & (run.sites["split"] == "test")]
    last = scored[scored["model"] == run.info["deploys"]]
    wide = last.pivot(index="site", columns="metric", values="value")
    table = Table(
        Column("site", no_wrap=True),
        "test rows",
        "events",
        *wide.columns,
        title=f"Round {at}, test patients, {run.info['deploys']} model",
    )
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
            means = scored[scored["model"] == model].groupby("metric", observed=True)["value"].mean()
            values = ", ".join(f"{name} {shown(value)}" for name, value in means.items())
            console.print(f"The {model} model instead, mean over sites: {values}.")
    if len(run.rounds):
        down, up = run.rounds["bytes_down"].sum(), run.rounds["bytes_up"].sum()
        sent = f"{filesize.decimal(int(down))} down, {filesize.decimal(int(up))} up"
        console.print(f"Sent: {sent}, all sites and rounds together; {run.info['parameters']} parameters.")
    if run.info["settings"]["system"]["dropout"] and len(run.rounds) > 1:
        answered = run.rounds["sites"].iloc[1:]
        console.print(f"Answered: {answered.mean():.1f} sites a round, {answered.min()} at least.")
    for said in run.info["roles"].values():
        console.print(f"{said}.", markup=False)
    for note in ("faults", "not known", GIVEAWAY):
        if run.info["notes"].get(note, "none") != "none":
            console.print(f"{note.capitalize()}: {run.info['notes'][note]}.", markup=False)
    if run.info["status"] != "done":
        console.print(f"[bold red]{run.info['status']}[/]")
    console.print(f"Records: {home}", markup=False)


def shown(value: float) -> str:
    """A metric's value; a dash where a site cannot define it."""
    return "–" if math.isnan(value) else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.3g}"
