"""What `fedtrial run` does after its settings are checked: one run, or with -m every cell of a sweep.

Cells are named by their number and the settings that distinguish them; a table of all cells ends the sweep.
"""

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.table import Column, Table
from rich.text import Text

from sim.checks import Refused
from sim.cli.run_table import show, shown
from sim.config.experiment import Experiment
from sim.config.many import experiments
from sim.progress import bar, compiling
from sim.records.begun import Begun
from sim.records.outcome import Outcome, how_it_ended, outcome, read_outcome
from sim.records.store import read
from sim.run.cells import Named
from sim.run.check import checked
from sim.run.keep import keep
from sim.run.run import run_id
from sim.run.signals import telling
from sim.run.sweep import Launch, ends, unfinished
from sim.terminal import Terminal, output

NOT_BEGUN = "not begun"


def one(wanted: Experiment, words: Sequence[str], folder: Path | None = None) -> int:
    """One run, given its overrides: compute it unless it exists, and print its result; `folder` as in `sweep`."""
    folder = folder or Path(wanted.results.dir)
    named = {run_id(wanted): wanted}
    cache = checked([("", left) for left in unfinished(named, folder).values()])
    begun = Begun(False, list(words), command(), dict.fromkeys(named, ""))
    if cache.seconds:
        begun.write(folder)
    with compiling(), bar(f"{wanted.rounds} rounds", wanted.rounds) as watch:
        home = keep(wanted, folder, watch, cache)
    begun.remove(folder)
    run = read(home)
    show(run, home)
    return int(run.info["status"] != "done")


def command() -> str:
    """The command line of this process."""
    return shlex.join(["fedtrial", *sys.argv[1:]])


class Swept(NamedTuple):
    """The result of a sweep."""

    runs: Sequence[str]  # run ids, in the order of the cells
    folders: Mapping[str, Path]
    done: Mapping[str, Outcome]  # by run id, diverged ones included
    failed: Mapping[str, str]  # run id -> why

    def why(self, run: str) -> str:
        """Why a cell has no run."""
        return self.failed.get(run, NOT_BEGUN)

    @property
    def code(self) -> int:
        """Exit code: 0 if all are done."""
        return int(any(run not in self.done or self.done[run].info["status"] != "done" for run in self.runs))


def sweep(chosen: Sequence[Sequence[str]], launch: Launch, words: Sequence[str], folder: Path | None = None) -> Swept:
    """Run all cells, given the overrides of each and those of the sweep; `folder` replaces results.dir."""
    wanted = experiments(chosen)
    if folder is not None:
        wanted = moved(wanted, folder)
    told = differing(chosen)
    names = [f"Cell {at} of {len(wanted)} ({settings})" for at, settings in enumerate(told, 1)]
    runs = [run_id(one) for one in wanted]
    folders = homes(runs, wanted, names)
    left = still_left(runs, wanted, folders)
    begun = Begun(True, list(words), command(), dict(zip(runs, told, strict=True)))
    console = Terminal(highlight=False, soft_wrap=True)
    done: dict[str, Outcome] = {}
    failed: dict[str, str] = {}

    def say(run: str, how: str) -> None:
        done[run] = done.get(run) or read_outcome(folders[run] / run)
        console.print(f"{called[run]}: {how}. {in_words(done[run])}", markup=False)

    def begin() -> None:
        for place in set(folders.values()) if left else ():
            here = {run: words for run, words in begun.runs.items() if folders[run] == place}
            replace(begun, runs=here).write(place)

    called = dict(zip(runs, names, strict=True))
    for run in dict.fromkeys(runs):
        if run not in left:
            say(run, "read")
    with telling(lambda: written(len(done), len(folders))), compiling(), bar(f"{len(left)} runs", len(left)) as watch:
        for ended in ends(left, folders, launch, called, begin, watch):
            if ended.failed:
                failed[ended.run] = ended.failed
                console.print(f"{called[ended.run]}: failed. {ended.failed}", markup=False)
            elif ended.records is None:
                say(ended.run, "computed by another process")
            else:
                done[ended.run] = outcome(ended.records)
                say(ended.run, "computed")
    output().print(table(told, runs, done, failed))
    if len(done) == len(folders):
        for place in set(folders.values()):
            begun.remove(place)
    return Swept(runs, folders, done, failed)


def moved(wanted: Sequence[Experiment], folder: Path) -> list[Experiment]:
    """The experiments of a sweep that goes on in `folder`, wherever it lies; where it names several, they stay."""
    places = {Path(one.results.dir).resolve() for one in wanted}
    if len(places) == 1:
        return [replace(one, results=replace(one.results, dir=str(folder))) for one in wanted]
    if folder.resolve() not in places:
        raise Refused(
            f"{folder}: its sweep has records in {', '.join(sorted(map(str, places)))}, as seen from here. "
            "Go on from the folder in which the command was given."
        )
    return list(wanted)


def homes(runs: Sequence[str], wanted: Sequence[Experiment], names: Sequence[str]) -> dict[str, Path]:
    """Run id -> the folder that its own goes into; refuses one run in two folders, which would be computed in one."""
    found: dict[str, tuple[Path, str]] = {}
    for run, one, name in zip(runs, wanted, names, strict=True):
        place, first = found.setdefault(run, (Path(one.results.dir), name))
        if place != Path(one.results.dir):
            raise Refused(
                f"{first} and {name}: one and the same run, for {place} and for {one.results.dir}. results.dir is no "
                "part of a run: name one folder, or copy the run's folder."
            )
    return {run: place for run, (place, _) in found.items()}


def written(done: int, whole: int) -> str:
    """A sentence on how many runs of a sweep or a study are written."""
    return f"{done} of {whole} runs are written"


def still_left(runs: Sequence[str], wanted: Sequence[Experiment], folders: Mapping[str, Path]) -> Named:
    """The experiments without a finished run, by run id."""
    left: Named = {}
    for folder in dict.fromkeys(folders.values()):
        left |= unfinished({run: one for run, one in zip(runs, wanted, strict=True) if folders[run] == folder}, folder)
    return left


def in_words(found: Outcome) -> str:
    """The result of a cell in one line."""
    metrics = ", ".join(f"{name} {shown(value)}" for name, value in sorted(found.metrics.items()))
    ended = how_it_ended(found.info)
    return metrics if ended == "done" else f"{ended} {metrics}".strip()


def differing(chosen: Sequence[Sequence[str]]) -> list[str]:
    """The settings of every cell that not all cells share."""
    shared = set(chosen[0]).intersection(*map(set, chosen[1:]))
    return [" ".join(word for word in words if word not in shared) or "all settings alike" for words in chosen]


def table(told: Sequence[str], runs: Sequence[str], done: Mapping[str, Outcome], failed: Mapping[str, str]) -> Table:
    """Cells in rows: settings, mean of each metric over sites on test patients of the last round, and how it ended."""
    metrics = sorted({metric for one in done.values() for metric in one.metrics})
    made = Table("cell", Column("settings", overflow="fold"), *metrics, "run", Column("", overflow="fold"))
    made.title = f"Sweep of {len(runs)} cells: mean over sites, test patients, last round"
    for number, (words, run) in enumerate(zip(told, runs, strict=True), 1):
        found = done[run].metrics if run in done else {}
        values = [shown(found.get(metric, math.nan)) for metric in metrics]
        how = how_it_ended(done[run].info) if run in done else NOT_BEGUN
        made.add_row(str(number), Text(words), *values, run, Text(f"failed: {failed[run]}" if run in failed else how))
    return made
