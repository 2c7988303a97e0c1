"""`fedtrial study` and `fedtrial report`: a study from its file to its page."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sim.config.words import refuse_twice
from sim.files import replace_whole
from sim.profiling import stage
from sim.progress import bar, compiling
from sim.report.page import write_report
from sim.report.tables import print_summary, summary
from sim.run.run import run_id
from sim.run.sweep import ends, unfinished
from sim.study.cells import index, study_cells
from sim.study.results import INDEX, read_study
from sim.study.study import load, with_overrides


def carry_out(console: Console, words: Sequence[str], name: str, seeds: int, metric: str, workers: int) -> int:
    """Exit code of a study: 0, or 1 where a run diverged or failed. What other processes compute is one stage.

    study.json is there from the first run on, so that `fedtrial report` can make a page of what is done.
    """
    with stage("settings"):
        refuse_twice(words)
        plan = load(name)
        plan = replace(plan, seeds=seeds or plan.seeds, metric=metric or plan.metric)
        plan = with_overrides(plan, words)
        cells = study_cells(plan, words)
        folder = Path(cells[0].experiment.results.dir) / plan.name
        runs = [run_id(cell.experiment) for cell in cells]
        left = unfinished([cell.experiment for cell in cells], folder)
    command = shlex.join(["fedtrial", *sys.argv[1:]])
    names = {run: cell.name for cell, run in zip(cells, runs, strict=True)}
    failed: dict[str, str] = {}
    number = len(set(runs))
    with compiling(), bar(f"{plan.name}: {number} runs", number) as watch, stage("runs"):
        watch(number - len(left))
        written = not left
        for done, ended in enumerate(ends(left, dict.fromkeys(left, folder), workers or os.cpu_count() or 1, names), 1):
            watch(number - len(left) + done)
            if ended.failed:
                failed[ended.run] = ended.failed
                console.print(f"{names[ended.run]}: failed. {ended.failed}", markup=False, soft_wrap=True)
            if not written or ended.failed:
                replace_whole(folder / INDEX, index(plan, cells, runs, command, failed))
                written = True
    replace_whole(folder / INDEX, index(plan, cells, runs, command, failed))
    with stage("report"):
        broken = publish(console, folder)
    return int(bool(failed) or broken)


def publish(console: Console, folder: Path) -> bool:
    """Print a study's table and write its page; whether one of its runs diverged."""
    gathered = read_study(folder)
    page = write_report(gathered, folder)
    print_summary(console, summary(gathered))
    if "missing" in gathered.provenance:
        console.print(f"Runs: {gathered.provenance['missing']}.", markup=False, soft_wrap=True)
    console.print(f"Page: {page}", highlight=False, soft_wrap=True, markup=False)
    return bool((gathered.runs["status"] != "done").any())
