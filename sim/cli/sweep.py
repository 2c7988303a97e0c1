"""What `fedtrial run` does once its settings are right: one run, or with -m every cell of a sweep.

Cells are named by their number and the settings that set them apart; a table of them stands at the end.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from sim.cli.run_table import ended, mean_metrics, show, shown
from sim.config.experiment import Experiment
from sim.progress import bar, compiling
from sim.records.store import Run, read
from sim.run.check import checked
from sim.run.run import run_id
from sim.run.sweep import Named, ends, keep, unfinished
from sim.terminal import Terminal, output


def one(wanted: Experiment) -> int:
    """One run: compute it unless it is there, and say what came out."""
    folder = Path(wanted.results.dir)
    cache = checked([("", left) for left in unfinished([wanted], folder).values()])
    with compiling(), bar(f"{wanted.rounds} rounds", wanted.rounds) as watch:
        home = keep(wanted, folder, watch, cache)
    run = read(home)
    show(run, home)
    return int(run.info["status"] != "done")


def sweep(chosen: Sequence[Sequence[str]], wanted: Sequence[Experiment]) -> int:
    """Carry out all cells, given their overrides and experiments; 1 where one diverged or failed, else 0."""
    console = Terminal(highlight=False, soft_wrap=True)
    names = [f"Cell {at} of {len(wanted)} ({told})" for at, told in enumerate(differing(chosen), 1)]
    runs = [run_id(one) for one in wanted]
    folders = {run: Path(one.results.dir) for run, one in zip(runs, wanted, strict=True)}
    left: Named = {}
    for folder in dict.fromkeys(folders.values()):
        inside = [one for run, one in zip(runs, wanted, strict=True) if folders[run] == folder]
        left |= unfinished(inside, folder)
    failed: dict[str, str] = {}
    done: dict[str, Run] = {}
    for name, run in zip(names, runs, strict=True):
        if run not in left:
            console.print(f"{name}: read", markup=False)
            done[run] = read(folders[run] / run)
            show(done[run], folders[run] / run)
    called = dict(zip(runs, names, strict=True))
    with compiling(), bar(f"{len(left)} runs", len(left)) as watch:
        for number, ended in enumerate(ends(left, folders, 1, called), 1):
            watch(number)
            if ended.failed:
                failed[ended.run] = ended.failed
                console.print(f"{called[ended.run]}: failed. {ended.failed}", markup=False)
                continue
            console.print(f"{called[ended.run]}: computed", markup=False)
            done[ended.run] = read(folders[ended.run] / ended.run)
            show(done[ended.run], folders[ended.run] / ended.run)
    output().print(table(differing(chosen), runs, done, failed))
    return int(bool(failed) or any(run.info["status"] != "done" for run in done.values()))


def differing(chosen: Sequence[Sequence[str]]) -> list[str]:
    """The settings of every cell that not all cells share."""
    shared = set(chosen[0]).intersection(*map(set, chosen[1:]))
    return [" ".join(word for word in words if word not in shared) or "all settings alike" for words in chosen]


def table(told: Sequence[str], runs: Sequence[str], done: Mapping[str, Run], failed: Mapping[str, str]) -> Table:
    """Cells in rows: settings, mean of each metric over sites on test patients of the last round, and how it ended."""
    means = {run: mean_metrics(one.sites, one.info["deploys"]) for run, one in done.items()}
    metrics = sorted({metric for one in means.values() for metric in one})
    made = Table("cell", Column("settings", overflow="fold"), *metrics, "run", Column("", overflow="fold"))
    made.title = f"Sweep of {len(runs)} cells: mean over sites, test patients, last round"
    for number, (words, run) in enumerate(zip(told, runs, strict=True), 1):
        values = [shown(means.get(run, {}).get(metric, math.nan)) for metric in metrics]
        how = f"failed: {failed[run]}" if run in failed else ended(done[run])
        made.add_row(str(number), Text(words), *values, run, Text(how))
    return made
