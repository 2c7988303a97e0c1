"""Many runs, in this process or in several at a time. Finished runs are skipped, so that a sweep can be resumed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.drafts import sweep_drafts
from sim.engine.executors import InProcess
from sim.engine.worker import Worker
from sim.files import writable
from sim.processes import on_ray
from sim.profiling import stage
from sim.progress import Watch
from sim.records.store import Run, finished, write
from sim.run.check import PreparedCache, Preparing, checked
from sim.run.run import footing, rehearse, run_id, simulation

Named = dict[str, Experiment]  # run id -> experiment


@dataclass(frozen=True)
class Ended:
    """A run that is over: written, or failed for a reason that only training could find."""

    run: str  # run id
    failed: str = ""  # why; empty = its folder is there


def unfinished(experiments: Sequence[Experiment], folder: Path) -> Named:
    """The experiments whose runs are not in the folder, each once; no patient is loaded to find out."""
    named = {run_id(experiment): experiment for experiment in experiments}
    return {name: experiment for name, experiment in named.items() if not finished(folder / name)}


def run_all(experiments: Sequence[Experiment], folder: Path, workers: int, watch: Watch) -> list[Path]:
    """Folders of all runs, in order; those that are not there yet are computed by `workers` processes.

    Raises Refused once all others are written where a run failed.
    """
    left = unfinished(experiments, folder)
    there = len(experiments) - len(left)
    watch(there)
    failed = []
    for number, ended in enumerate(ends(left, dict.fromkeys(left, folder), workers, {}), 1):
        watch(there + number)
        failed += [f"Run {ended.run} failed: {ended.failed}"] if ended.failed else []
    if failed:
        raise Refused(" ".join(failed))
    return [folder / run_id(experiment) for experiment in experiments]


def ends(left: Named, folders: Mapping[str, Path], workers: int, names: Mapping[str, str]) -> Iterator[Ended]:
    """The end of every run that is left to do, computed by `workers` processes.

    By run id: the folder that its own goes into, and what a refusal calls it.

    All cells are checked before the first one runs. This process alone writes. A run that fails in training does not
    stop the others; a disk that is full, or code that changes meanwhile, stops them all, and what is written stays.
    """
    for folder in set(folders.values()):
        sweep_drafts(writable(folder))
    cache = checked([(names.get(run, ""), one) for run, one in left.items()])
    for name, run in here(left, cache) if workers <= 1 else elsewhere(left, workers, cache):
        yield write_ended(name, run, folders[name])


def here(experiments: Named, cache: PreparedCache) -> Iterator[tuple[str, Run | str]]:
    """Every run, or why it failed, as this process ends it, those of one footing one after the other."""
    for batch in batches(experiments, 1):
        for name, experiment in batch.items():
            yield name, attempt(experiment, cache)
        cache.forget(experiment)


def elsewhere(experiments: Named, workers: int, cache: PreparedCache) -> Iterator[tuple[str, Run | str]]:
    """The same, as Ray processes end them, each of them busy with one footing at a time."""
    if not experiments:
        return
    first = next(iter(experiments.values()))
    Worker.open(simulation(first, cache(first)).job)  # compiles, if need be, what all processes then load
    cache.held.clear()
    jobs = iter(batches(experiments, workers))
    for batch, runs in on_ray(several, lambda: next(jobs, None), workers):
        yield from zip(batch, runs, strict=True)


def attempt(experiment: Experiment, preparing: Preparing) -> Run | str:
    """The run, or why it failed."""
    try:
        return rehearse(experiment, preparing(experiment))
    except Refused as refusal:
        return str(refusal)
    except Exception as error:  # whatever it is, the other runs of a sweep go on
        return f"{type(error).__name__}: {error}. Run it alone with `fedtrial run` for the whole story."


def write_ended(asked: str, run: Run | str, folder: Path) -> Ended:
    """Write a run that was computed."""
    if isinstance(run, str):
        return Ended(asked, run)
    refuse_change(asked, run.id)
    with stage("records"):
        write(run, folder)
    return Ended(asked)


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


def several(experiments: Named) -> list[Run | str]:
    """Runs of one footing, prepared once; in this process, whatever their executor says."""
    cache = PreparedCache()
    return [attempt(replace(experiment, executor=InProcess(threads=1)), cache) for experiment in experiments.values()]
