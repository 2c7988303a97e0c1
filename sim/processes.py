"""Child processes: jobs that run in processes of their own, and a private Ray session."""

import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    work: Callable[[Job], Result], next_job: Callable[[], Job | None], workers: int
) -> Iterator[tuple[Job, Result]]:
    """Jobs with their results in order of completion, each job in a process of its own; one worker needs no Ray.

    `next_job` is called whenever a worker is free. It returns None while there is nothing to do, and is called again
    after the next result; when it returns None and no job is running, the iterator ends.
    """
    if workers <= 1:
        while (job := next_job()) is not None:
            yield job, run_in_fresh_process(work, job)
        return
    yield from on_ray(work, next_job, workers, jobs=1)


def on_ray(
    work: Callable[[Job], Result], next_job: Callable[[], Job | None], workers: int, jobs: int = 0
) -> Iterator[tuple[Job, Result]]:
    """As `run_jobs`, in Ray processes each of which ends after `jobs` jobs; 0 = any number."""
    import ray

    with ray_session(workers):
        remote = ray.remote(num_cpus=1, max_retries=3, max_calls=jobs)(work)
        waiting: dict[Any, Job] = {}  # by ray.ObjectRef
        while True:
            while len(waiting) < workers and (job := next_job()) is not None:
                waiting[remote.remote(job)] = job
            if not waiting:
                return
            done = ray.wait(list(waiting), num_returns=1)[0][0]
            yield waiting.pop(done), ray.get(done)


def run_in_fresh_process(work: Callable[[Job], Result], job: Job) -> Result:
    """Result of `work(job)` in a fresh process; an exception there is raised here, RuntimeError if the process dies."""
    context = get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=send_result, args=(work, job, send), daemon=True)
    # The child inherits this setting: Ctrl-C is for this process to handle.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, handler)
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


def send_result(work: Callable[[Job], Result], job: Job, send: Connection) -> None:
    """Body of the fresh process: send (result, None), or (None, exception)."""
    try:
        send.send((work(job), None))
    except Exception as error:  # whatever it is, it is raised in the parent
        send.send((None, error))


@contextmanager
def ray_session(workers: int) -> Iterator[None]:
    """A private Ray session on the loopback interface, shut down on exit; a session that already runs is used as is."""
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
