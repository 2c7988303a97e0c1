"""Many runs: in this process or as Ray tasks, some runs each. Finished runs are skipped, so a sweep can go on."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sim import provenance
from sim.actors import ray_session
from sim.checks import Refused
from sim.config import Experiment
from sim.execute import InProcess
from sim.local.workshop import Workshop
from sim.records import Run, finished, writable, write
from sim.references import Watch
from sim.rehearse import footing, keep, prepare, rehearse, run_id, simulation

START = 5.0  # seconds that Ray takes to start

J = TypeVar("J")
R = TypeVar("R")


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
    Workshop.open(simulation(first, prepare(first)).job)  # compiles, if need be, what all processes then load
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


def spread(work: Callable[[J], R], supply: Callable[[], J | None], workers: int) -> Iterator[tuple[J, R]]:
    """Jobs and their results as they come, each job in a process of its own; one worker needs no Ray.

    `supply` is asked for the next job whenever a worker is free. It gives None while there is nothing to do, and is
    asked again after the next result.
    """
    if workers <= 1:
        while (job := supply()) is not None:
            yield job, aside(work, job)
        return
    import ray

    with ray_session(workers):
        distant = ray.remote(num_cpus=1, max_retries=3, max_calls=1)(work)
        waiting: dict[Any, J] = {}  # by ray.ObjectRef
        while True:
            while len(waiting) < workers and (job := supply()) is not None:
                waiting[distant.remote(job)] = job
            if not waiting:
                return
            done = ray.wait(list(waiting), num_returns=1)[0][0]
            yield waiting.pop(done), ray.get(done)


def aside(work: Callable[[J], R], job: J) -> R:
    """Result of a job that a fresh process computes; an exception of its own is raised here."""
    context = get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=answer, args=(work, job, send), daemon=True)
    heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child inherits it: Ctrl-C is for this process to handle
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, heeded)
    send.close()
    try:
        result, error = receive.recv()
    except EOFError:
        child.join()
        raise RuntimeError(f"The process that worked on {job} died (exit code {child.exitcode}).") from None
    finally:
        child.terminate()
        child.join()
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def answer(work: Callable[[J], R], job: J, send: Connection) -> None:
    """The fresh process: send the result, or the exception."""
    try:
        send.send((work(job), None))
    except Exception as error:  # whatever it is, it belongs to who asked
        send.send((None, error))
