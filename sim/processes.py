"""Child processes: jobs that run in processes of their own, and the Ray session for them."""

import logging
import os
import secrets
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from sim import ray_cluster
from sim.checks import Refused
from sim.scratch import scratch, short_place

Job = TypeVar("Job")
Result = TypeVar("Result")

RESTARTS = 3  # of a Ray process that dies, before the reason is told


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
    work: Callable[[Job], Result],
    next_job: Callable[[], Job | None],
    workers: int,
    jobs: int = 0,
    address: str = "",
) -> Iterator[tuple[Job, Result]]:
    """As `run_jobs`, in Ray processes each of which ends after `jobs` jobs; 0 = any number.

    With an address, the processes are those of a cluster, see `ray_session`.
    """
    import ray

    with ray_session(workers, address):
        remote = ray.remote(num_cpus=1, max_retries=RESTARTS, max_calls=jobs)(work)
        waiting: dict[Any, Job] = {}  # by ray.ObjectRef
        while True:
            while len(waiting) < workers and (job := next_job()) is not None:
                waiting[remote.remote(job)] = job
            if not waiting:
                return
            done = ray.wait(list(waiting), num_returns=1)[0][0]
            with explained():
                result = ray.get(done)
            yield waiting.pop(done), result


@contextmanager
def explained() -> Iterator[None]:
    """Context that explains the death of a Ray process, or of Ray itself; our own exceptions are unchanged."""
    import ray.exceptions as dead

    try:
        yield
    except dead.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Refused) else error) from None
    except dead.RayError as error:
        told = textwrap.shorten(str(error), 300)
        raise Refused(
            f"Ray gave up after {RESTARTS} restarts of a worker: {told} If memory ran out, use fewer workers "
            "(executor.workers, --workers); executor=inprocess and --workers 1 need no Ray."
        ) from None


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
def ray_session(workers: int, address: str = "") -> Iterator[None]:
    """A Ray session with enough CPUs for the workers, closed on exit.

    Without an address it is a private one that listens on the loopback interface alone. `HOST:PORT`, or "auto" for the
    cluster of this machine, joins a Ray cluster that the user runs. A session that already runs is used as it is.
    Refuses clusters that cannot be joined or have fewer CPUs than workers, and nodes with other code.
    """
    choose_environment(address)
    import ray

    if ray.is_initialized():
        if address:
            ray_cluster.refuse_other(address)
            ray_cluster.refuse_too_few_in_cluster(workers)
        else:
            refuse_too_few(workers)
        yield
    elif address:
        with joined(address):
            ray_cluster.refuse_too_few_in_cluster(workers)
            ray_cluster.refuse_other_code()
            yield
    else:
        with private(workers):
            yield


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Join a cluster that the user operates."""
    import ray

    ray_cluster.refuse_unreachable(address)
    try:
        with same_handlers(), ray_cluster.joining(address):
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, job_config=places())
        yield
    finally:
        ray.shutdown()


@contextmanager
def private(workers: int) -> Iterator[None]:
    """A private Ray session of this process. Refuses where Ray does not start."""
    import ray

    with scratch(short_place()) as folder:
        try:
            with same_handlers(), started():
                ray.init(
                    address="local",
                    num_cpus=workers,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    job_config=places(),
                    _node_ip_address="127.0.0.1",
                    _temp_dir=str(folder / "r"),  # which Ray opens to everybody; the folder around it stays shut
                )
            yield
        finally:
            ray.shutdown()


@contextmanager
def started() -> Iterator[None]:
    """Context that explains why Ray does not start, for which it raises exceptions of any class."""
    try:
        yield
    except Exception as error:
        told = textwrap.shorten(str(error), 300)
        raise Refused(
            f"Ray does not start on this machine: {told} If other programs use the CPUs or the memory, try again "
            "later; --workers 1, or executor=inprocess for a single run, needs no Ray."
        ) from None


@contextmanager
def same_handlers() -> Iterator[None]:
    """Restore the handlers of SIGINT and SIGTERM; Ray's own handler would print a C++ stack."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def places() -> Any:
    """Where workers look for modules, as a `ray.job_config.JobConfig`.

    Ray would add the current folder to their path. Workers use the same path as this process, so that a random.py
    beside a table of patients is not imported.
    """
    from ray.job_config import JobConfig

    here = [os.getcwd()] if {"", os.getcwd()} & set(sys.path) else []
    return JobConfig(_client_job=True, _py_driver_sys_path=here)


def choose_environment(address: str = "") -> None:
    """Set Ray's environment before it is loaded, independent of the user's home, `uv run` and network.

    To join a cluster, the user's token is kept.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "ray" in sys.modules:  # the user's own: it has read what it found
        return
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # else `uv run` packs the current folder, patients and all
    if address:
        ray_cluster.choose_cluster_environment(address)
        return
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the name misleads: on every system, loopback alone
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into the home folder


def refuse_too_few(workers: int) -> None:
    """Refuse a running Ray session with fewer CPUs on this machine than workers, which would never all start."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    cpus = next(int(node["Resources"].get("CPU", 0)) for node in nodes if node["NodeID"] == here)
    if cpus < workers:
        raise Refused(
            f"{workers} workers in a Ray session that has {cpus} CPU on this machine: the workers would never start. "
            "Use fewer (executor.workers, --workers) or executor=inprocess, or call ray.shutdown() first: fedtrial "
            "starts "
            "its own."
        )
