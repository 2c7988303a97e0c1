"""Many runs, in this process or in several at a time. Finished runs are skipped, so that a sweep can be resumed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.engine.executors import InProcess
from sim.engine.worker import Worker
from sim.files import writable
from sim.processes import on_ray
from sim.profiling import stage
from sim.progress import Watch
from sim.records.store import Run, finished, write
from sim.run.run import Prepared, footing, prepare, rehearse, run_id, simulation

Preparing = Callable[[Experiment], Prepared]
Named = dict[str, Experiment]  # run id -> experiment


def unfinished(experiments: Sequence[Experiment], folder: Path) -> Named:
    """The experiments whose runs are not in the folder, each once; no patient is loaded to find out."""
    named = {run_id(experiment): experiment for experiment in experiments}
    return {name: experiment for name, experiment in named.items() if not finished(folder / name)}


def latest() -> Preparing:
    """`prepare`, which gives its last result again while the footing stays the same; kept as long as the function."""
    held: dict[str, Prepared] = {}

    def prepared(experiment: Experiment) -> Prepared:
        wanted = footing(experiment)
        if wanted not in held:
            held.clear()  # before the next is made, so that there is room for it
            held[wanted] = prepare(experiment)
        return held[wanted]

    return prepared


def keep(
    experiment: Experiment,
    folder: Path,
    watch: Watch = lambda number: None,
    preparing: Preparing = prepare,
) -> Path:
    """Folder of the finished run, computed only if it is not there yet."""
    writable(folder)
    for asked in unfinished([experiment], folder).values():
        run = rehearse(asked, preparing(asked), watch)
        with stage("records"):
            write(run, folder)
    return folder / run_id(experiment)


def run_all(experiments: Sequence[Experiment], folder: Path, workers: int, watch: Watch) -> list[Path]:
    """Folders of all runs, in order; those that are not there yet are computed by `workers` processes.

    This process alone writes. A failed run stops the sweep, and what is written stays.
    """
    writable(folder)
    names = [run_id(experiment) for experiment in experiments]
    left = unfinished(experiments, folder)
    done = here(left, folder) if workers <= 1 else elsewhere(left, folder, workers)
    there = len(experiments) - len(left)
    watch(there)
    for number, _ in enumerate(done, 1):
        watch(there + number)
    return [folder / name for name in names]


def here(experiments: Named, folder: Path) -> Iterator[Path]:
    """Folder of every run as this process finishes it, those of one footing one after the other."""
    preparing = latest()
    for batch in batches(experiments, 1):
        for name, experiment in batch.items():
            home = keep(experiment, folder, preparing=preparing)
            refuse_change(name, home.name)
            yield home


def elsewhere(experiments: Named, folder: Path, workers: int) -> Iterator[Path]:
    """Folder of every run as Ray processes finish it, each of them busy with one footing at a time."""
    if not experiments:
        return
    first = next(iter(experiments.values()))
    Worker.open(simulation(first, prepare(first)).job)  # compiles, if need be, what all processes then load
    jobs = iter(batches(experiments, workers))
    for batch, runs in on_ray(several, lambda: next(jobs, None), workers):
        for name, run in zip(batch, runs, strict=True):
            refuse_change(name, run.id)
            yield write(run, folder)


def refuse_change(asked: str, made: str) -> None:
    """Refuse a run that came out under another name than it was asked by."""
    if made != asked:
        raise Refused(
            f"Run {asked} came out as {made}: its code or data changed while the sweep ran, or a class of its own is "
            "defined in a script. Start the sweep again, or put the class into a module that can be imported."
        )


def batches(experiments: Named, workers: int) -> list[Named]:
    """Runs that a process takes at a time: all of one footing, or several parts of them lest some be idle."""
    groups: dict[str, list[str]] = {}
    for name, experiment in experiments.items():
        groups.setdefault(footing(experiment), []).append(name)
    most = -(-4 * workers // max(len(groups), 1)) if workers > 1 else 1  # so that the last end at much the same time
    parts = [part for group in groups.values() for part in np.array_split(group, min(most, len(group)))]
    return [{name: experiments[name] for name in part.tolist()} for part in parts]


def several(experiments: Named) -> list[Run]:
    """Runs of one footing, prepared once; in this process, whatever their executor says."""
    preparing = latest()
    return [
        rehearse(replace(experiment, executor=InProcess(threads=1)), preparing(experiment))
        for experiment in experiments.values()
    ]
