"""Executors: carry out a round's orders in this process or on Ray actors, with identical results."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import within
from sim.engine.evaluation import Metrics, join
from sim.engine.job import Job
from sim.engine.messages import Broadcast, Candidates, Order, Upload
from sim.engine.node_actors import NodeCrew
from sim.engine.ray_actors import RayCrew
from sim.engine.site_state import SiteState
from sim.engine.worker import Worker
from sim.exact.sums import Message as Sums
from sim.exact.sums import State as Seen
from sim.exact.sums import SumProtocol
from sim.lazy import torch
from sim.local.fused import Fused
from sim.processes import ray_session
from sim.profiling import stage
from sim.ray_cluster import AUTO, alone, check_address

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Executor:
    """One entry of the `executor` config group."""


@dataclass
class InProcess(Executor):
    """This process; the best choice unless a run takes longer than starting Ray (some seconds)."""

    threads: int = 0  # >= 0 that train at once where the fused tier does; 0 = one per core

    def __post_init__(self) -> None:
        within("executor.threads", self.threads, 0)


@dataclass
class OnRay(Executor):
    """Long-lived Ray actors on this machine, or on the nodes of a Ray cluster."""

    workers: int = 2  # >= 1 actors, one core each
    address: str = ""  # HOST:PORT of the head node of a Ray cluster that runs already, or auto; empty = this machine

    def __post_init__(self) -> None:
        within("executor.workers", self.workers, 1)
        check_address("executor.address", self.address)


def unnamed(executor: Executor) -> Executor:
    """The executor as recorded: whether there was a cluster, but not its address."""
    return replace(executor, address=AUTO) if isinstance(executor, OnRay) and executor.address else executor


class Crew(Protocol):
    """Open executor."""

    memory: SiteState

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Carry out orders; uploads in the order of the orders."""

    def judge(self, models: Candidates) -> Metrics:
        """Metrics of every site and split under these models; {} without rows."""

    def losses(self, x: NDArray[np.floating], sites: Ints) -> Floats:
        """Loss of one model [P] over all training rows of some sites; [C] -> [C]."""

    def answers(self, analysis: SumProtocol, seen: Seen, sites: Ints) -> list[Sums]:
        """Answers of some sites in an analysis from sums, from their training rows, in the order of the sites."""


class Here:
    """Crew of this process. Compiled loops release the interpreter lock, so threads share a round's orders."""

    def __init__(self, job: Job, threads: int) -> None:
        self.worker = Worker.open(job)
        self.memory = self.worker.memory
        threads = threads if isinstance(self.worker.trainer, Fused) else 1
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Carry out orders, the longest first."""
        current = self.memory.current
        return self.share(
            lambda order: self.worker.train(broadcast, order, current[order.sites]), orders, lambda order: order.work
        )

    def judge(self, models: Candidates) -> Metrics:
        """All runs of sites."""
        parts = range(len(self.worker.parts))
        judged = self.share(
            lambda part: self.worker.judge(part, models, self.memory.current),
            parts,
            lambda part: float(len(self.worker.parts[part].row)),
        )
        return join(judged) if judged else {}

    def losses(self, x: NDArray[np.floating], sites: Ints) -> Floats:
        """In this thread."""
        return self.worker.losses_under(x, sites)

    def answers(self, analysis: SumProtocol, seen: Seen, sites: Ints) -> list[Sums]:
        """In this thread."""
        return self.worker.answers(analysis, seen, sites)

    def share(self, do: Callable[[T], R], items: Sequence[T], work: Callable[[T], float]) -> list[R]:
        """Results in the order of the items; each free thread takes the longest remaining one."""
        if self.pool is None or len(items) < 2:
            return [do(item) for item in items]
        longest = sorted(range(len(items)), key=lambda at: -work(items[at]))
        futures = {at: self.pool.submit(do, items[at]) for at in longest}
        return [futures[at].result() for at in range(len(items))]

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ray_crew(executor: OnRay, job: Job) -> AbstractContextManager[Crew]:
    """Actors that share this machine's memory, or actors on the nodes of a cluster."""
    if not executor.address or alone():
        return RayCrew.open(job, executor.workers)
    return NodeCrew.open(job, executor.workers)


@contextmanager
def crew(executor: Executor, job: Job) -> Iterator[Crew]:
    """Open the executor for one run."""
    threads = torch.get_num_threads()
    with ExitStack() as opened:
        opened.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)  # the server's products too must not depend on the machine's cores
        if isinstance(executor, OnRay):
            with stage("executor"):
                opened.enter_context(ray_session(executor.workers, executor.address))
                distant = opened.enter_context(ray_crew(executor, job))
            yield distant
        else:
            here = Here(job, executor.threads or cores() if isinstance(executor, InProcess) else 1)
            opened.callback(here.close)
            yield here


EXECUTORS: dict[str, type[Executor]] = {"inprocess": InProcess, "ray": OnRay}
