"""Processes beside this one: a Ray session of our own, and jobs that each get a process."""

import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

J = TypeVar("J")
R = TypeVar("R")


def spread(work: Callable[[J], R], supply: Callable[[], J | None], workers: int) -> Iterator[tuple[J, R]]:
    """Jobs and their results as they come, each job in a process of its own; one worker needs no Ray.

    `supply` is asked for the next job whenever a worker is free. It gives None while there is nothing to do, and is
    asked again after the next result.
    """
    if workers <= 1:
        while (job := supply()) is not None:
            yield job, aside(work, job)
        return
    yield from on_ray(work, supply, workers, jobs=1)


def on_ray(
    work: Callable[[J], R], supply: Callable[[], J | None], workers: int, jobs: int = 0
) -> Iterator[tuple[J, R]]:
    """Jobs and results as they come, see `spread`, from Ray processes that take `jobs` jobs each; 0 = any number."""
    import ray

    with ray_session(workers):
        distant = ray.remote(num_cpus=1, max_retries=3, max_calls=jobs)(work)
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


@contextmanager
def ray_session(workers: int) -> Iterator[None]:
    """A Ray of our own, loopback only, unless the caller's process already has one; ours is ended on the way out."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="fedtrial-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        try:
            yield
        finally:
            ray.shutdown()
