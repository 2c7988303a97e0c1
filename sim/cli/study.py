"""`fedtrial study` and `fedtrial report`: a study from its file to its page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sim.cli.sweep import command, written
from sim.config.words import refuse_twice
from sim.files import replace_whole
from sim.profiling import stage
from sim.progress import bar, compiling
from sim.records.store import finished
from sim.records.unfinished import State, status
from sim.report.page import write_report
from sim.report.tables import print_summary, summary
from sim.run.run import run_id
from sim.run.signals import telling
from sim.run.sweep import Launch, ends, unfinished
from sim.study.cells import index, study_cells
from sim.study.results import INDEX, read_study
from sim.study.study import Study, load, with_overrides


def carry_out(
    console: Console, words: Sequence[str], name: str, seeds: int, metric: str, launch: Launch | None = None
) -> int:
    """Run a study, given its name or file; exit code 0, or 1 if a run diverged, failed or was not started."""
    with stage("settings"):
        refuse_twice(words)
        plan = load(name)
        plan = replace(plan, seeds=seeds or plan.seeds, metric=metric or plan.metric)
        plan = with_overrides(plan, words)
    return compute(console, plan, words, None, command(), launch or Launch())


def compute(
    console: Console, plan: Study, words: Sequence[str], folder: Path | None, typed: str, launch: Launch
) -> int:
    """Run a study, given its plan and its command line; `folder` replaces that in results.dir. Returns the exit code.

    study.json exists from the first run on, so that `fedtrial report` can create a page of the finished runs, and
    `fedtrial resume` can continue. For profiling, the work of other processes is one stage.
    """
    with stage("settings"):
        cells = study_cells(plan, words)
        folder = folder or Path(cells[0].experiment.results.dir) / plan.name
        runs = [run_id(cell.experiment) for cell in cells]
        left = unfinished({run: cell.experiment for run, cell in zip(runs, cells, strict=True)}, folder)
    names = {run: cell.name for cell, run in zip(cells, runs, strict=True)}
    failed: dict[str, str] = {}

    def note() -> None:
        replace_whole(folder / INDEX, index(plan, cells, runs, typed, failed, words))

    whole, there = len(names), len(names) - len(left)
    with (
        telling(lambda: written(whole - len(missing(folder, names)), whole)),
        compiling(),
        bar(f"{plan.name}: {whole} runs", whole) as watch,
        stage("runs"),
    ):
        for ended in ends(left, dict.fromkeys(runs, folder), launch, names, note, lambda done: watch(there + done)):
            if ended.failed:
                failed[ended.run] = ended.failed
                console.print(f"{names[ended.run]}: failed. {ended.failed}", markup=False, soft_wrap=True)
                note()
    lost = missing(folder, names)
    failed |= reasons(folder, lost)
    note()
    if not any(run not in lost and not cell.reference for cell, run in zip(cells, runs, strict=True)):
        console.print("No page was written, because no federated run of this study is finished.", soft_wrap=True)
        return 1
    with stage("report"):
        broken = publish(console, folder)
    return int(bool(lost) or broken)


def missing(folder: Path, runs: Iterable[str]) -> set[str]:
    """The runs that are not finished."""
    return {run for run in runs if not finished(folder / run)}


def reasons(folder: Path, lost: set[str]) -> Mapping[str, str]:
    """Reasons of failed runs, in this process or another; run id -> reason."""
    found = {run: status(folder, run) for run in lost}
    return {run: one.why for run, one in found.items() if one.state is State.FAILED}


def publish(console: Console, folder: Path) -> bool:
    """Print a study's table and write its page; whether one of its runs diverged."""
    gathered = read_study(folder)
    page = write_report(gathered, folder)
    print_summary(console, summary(gathered))
    if "missing" in gathered.provenance:
        console.print(f"Runs: {gathered.provenance['missing']}.", markup=False, soft_wrap=True)
    console.print(f"Page: {page}", highlight=False, soft_wrap=True, markup=False)
    return bool((gathered.runs["status"] != "done").any())
