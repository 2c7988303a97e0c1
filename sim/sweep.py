"""Many runs: in this process or as Ray tasks, one a run. Finished runs are skipped, so a sweep can go on."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from sim.actors import ray_session
from sim.checks import Refused
from sim.config import Experiment
from sim.execute import InProcess
from sim.local.workshop import Workshop
from sim.records import Run, finished, writable, write
from sim.references import Watch
from sim.rehearse import keep, prepare, rehearse, run_id, simulation

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
    homes = [folder / run_id(experiment, prepare(experiment)) for experiment in experiments]
    missing = [at for at, home in enumerate(homes) if not finished(home)]
    watch(len(homes) - len(missing))
    if missing:
        wanted = {homes[at].name: experiments[at] for at in missing}
        on_ray(wanted, folder, workers, len(homes) - len(missing), watch)
    return homes


def on_ray(expected: Mapping[str, Experiment], folder: Path, workers: int, before: int, watch: Watch) -> None:
    """Compute runs as Ray tasks; this process alone writes. A failed run stops the sweep, what is written stays."""
    import ray

    first = next(iter(expected.values()))
    Workshop.open(simulation(first, prepare(first)).job)  # compiles, if need be, what all processes then load
    with ray_session(workers):
        compute = ray.remote(num_cpus=1, max_retries=3)(alone)
        waiting = [compute.remote(experiment) for experiment in expected.values()]
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            for run in ray.get(done):
                if run.id not in expected:
                    raise Refused(f"{run.id}: the code changed while the sweep ran; start it again.")
                write(run, folder)
            before += len(done)
            watch(before)


def alone(experiment: Experiment) -> Run:
    """One run, in the process that is asked; its own executor would start a Ray inside a Ray."""
    return rehearse(replace(experiment, executor=InProcess(threads=1)))


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
