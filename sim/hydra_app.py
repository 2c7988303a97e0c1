"""`fedtrial run`: everything is checked first, then Hydra takes over."""

import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig
from rich import filesize
from rich.console import Console
from rich.table import Table

from sim.assets import root
from sim.checks import Refused, tell
from sim.compose import build, cells, experiment
from sim.config import Experiment, register
from sim.progress import bar
from sim.records import Run, read
from sim.rehearse import keep


def launch(words: Sequence[str]) -> None:
    """Hydra's command line over `one`; refuses a wrong cell before any cell runs."""
    asked = get_args_parser().parse_args(list(words))
    if not (asked.help or asked.hydra_help):
        for cell in cells(asked.overrides) if asked.multirun else [asked.overrides]:
            experiment(cell)
    register()
    sys.argv = ["fedtrial run", *words]
    app = hydra.main(version_base="1.3", config_path=str(root() / "configs"), config_name="config")(one)
    app()


def one(config: DictConfig) -> None:
    """One run: compute it unless it is there, and say what came out."""
    try:
        wanted = build(config)
        with bar(f"{wanted.rounds} rounds", wanted.rounds) as watch:
            home = keep(wanted, Path(wanted.results.dir), watch)
        show(wanted, read(home), home)
    except Refused as refusal:  # Hydra would print a traceback and exit with 1
        tell(refusal)
        sys.exit(2)


def show(wanted: Experiment, run: Run, home: Path) -> None:
    """Final metrics of every site, bytes, and where the records are."""
    console = Console(highlight=False, soft_wrap=True)
    last = run.sites[(run.sites["round"] == run.sites["round"].max()) & (run.sites["split"] == "test")]
    wide = last.pivot(index="site", columns="metric", values="value")
    table = Table("site", "test rows", "events", *wide.columns, title=f"Round {wanted.rounds}, test patients")
    for site, held in run.info["sites"].items():
        values = wide.loc[site] if site in wide.index else [float("nan")] * len(wide.columns)
        shown = ("–" if value != value else f"{value:.3f}" for value in values)
        table.add_row(site, str(held["test"]["rows"]), str(held["test"]["events"]), *shown)
    console.print(table)
    if len(run.rounds):
        down, up = run.rounds["bytes_down"].sum(), run.rounds["bytes_up"].sum()
        sent = f"{filesize.decimal(int(down))} down, {filesize.decimal(int(up))} up"
        console.print(f"Sent: {sent}, all sites and rounds together; {run.info['parameters']} parameters.")
    if run.info["status"] != "done":
        console.print(f"[bold red]{run.info['status']}[/]")
    console.print(f"Records: {home}")
