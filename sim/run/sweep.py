"""Many runs: in this process or as Ray tasks, some runs each. Finished runs are skipped, so a sweep can go on."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.engine.executors import InProcess
from sim.engine.worker import Worker
from sim.files import writable
from sim.processes import ray_session
from sim.progress import Watch
from sim.records import provenance
from sim.records.store import Run, finished, write
from sim.run.run import footing, keep, prepare, rehearse, run_id, simulation

START = 5.0  # seconds that Ray takes to start


def run_all(experiments: Sequence[Experiment], folder: Path, workers: int, watch: Watch) -> list[Path]:
    """Folders of all runs, in order; those that are not there yet are computed by `workers` processes."""
    writable(folder)
    if workers <= 1:
        homes = []
        for at, experiment in enumerate(experiments):
            homes.append(keep(experiment, folder))
            watch(at + 1)
        return homes
    homes = there(experiments, folder)
    watch(len(homes))
    left = experiments[len(homes) :]
    return homes + (on_ray(left, folder, workers, lambda done: watch(len(homes) + done)) if left else [])


def there(experiments: Sequence[Experiment], folder: Path) -> list[Path]:
    """Folders of the first runs that are finished, looked for while that is quicker than to start Ray."""
    homes: list[Path] = []
    until = time.monotonic() + START
    for experiment in experiments:
        home = folder / run_id(experiment, prepare(experiment))
        if time.monotonic() > until or not finished(home):
            break
        homes.append(home)
    return homes


def on_ray(experiments: Sequence[Experiment], folder: Path, workers: int, watch: Watch) -> list[Path]:
    """Compute runs as Ray tasks; this process alone writes. A failed run stops the sweep, what is written stays.

    Runs on the same patients go to the same process one after the other, which then loads these once.
    """
    import ray

    first = experiments[0]
    Worker.open(simulation(first, prepare(first)).job)  # compiles, if need be, what all processes then load
    homes: dict[int, Path] = {}
    with ray_session(workers):
        compute = ray.remote(num_cpus=1, max_retries=3)(several)
        jobs = batches(experiments, workers)
        waiting = {compute.remote([experiments[at] for at in job], folder.absolute()): job for job in jobs}
        while waiting:
            done = ray.wait(list(waiting), num_returns=1)[0][0]
            for at, made in zip(waiting.pop(done), ray.get(done), strict=True):
                if isinstance(made, Run) and made.info["code"] != provenance.code():
                    raise Refused(f"{made.id}: the code changed while the sweep ran; start it again.")
                homes[at] = write(made, folder) if isinstance(made, Run) else folder / made
            watch(len(homes))
    return [homes[at] for at in range(len(experiments))]


def batches(experiments: Sequence[Experiment], workers: int) -> list[list[int]]:
    """Places of the runs that a process takes at a time: all on the same patients, or fewer lest some be idle."""
    groups: dict[str, list[int]] = {}
    for at, experiment in enumerate(experiments):
        groups.setdefault(footing(experiment), []).append(at)
    pieces = -(-4 * workers // len(groups))  # of a group, so that the last ones end at much the same time
    return [
        [int(at) for at in piece]
        for group in groups.values()
        for piece in np.array_split(group, min(pieces, len(group)))
    ]


def several(experiments: Sequence[Experiment], folder: Path) -> list[Run | str]:
    """Each run, or the name of one that `folder` holds; in this process, whatever their executor says."""
    made: dict[str, Run] = {}
    answers: list[Run | str] = []
    for experiment in experiments:
        name = run_id(experiment, prepare(experiment))
        if name in made or finished(folder / name):
            answers.append(name)
        else:
            made[name] = rehearse(replace(experiment, executor=InProcess(threads=1)))
            answers.append(made[name])
    return answers
