"""Executors: who carries out a round's orders. In-process or on Ray actors, the same bits come back."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sim.algorithms.base import Algorithm
from sim.checks import within
from sim.federation import Federation
from sim.local.chunk import Broadcast, Order, Upload, Workshop
from sim.local.settings import Training
from sim.score import Held, Rated
from sim.tasks.task import Task


@dataclass
class Executor:
    """One entry of the `executor` config group."""


@dataclass
class InProcess(Executor):
    """This process, one thread; right until a run is longer than Ray's start of some seconds."""


@dataclass
class OnRay(Executor):
    """Long-lived Ray actors on this machine."""

    workers: int = 2  # >= 1 actors, one core each

    def __post_init__(self) -> None:
        within("executor.workers", self.workers, 1)


@dataclass(frozen=True)
class Job:
    """What every process of a run must know."""

    federation: Federation
    task: Task
    algorithm: Algorithm
    training: Training
    splits: tuple[str, ...]
    seed: int

    def workshop(self) -> Workshop:
        """The workshop of one process, one thread: a sum's order must not depend on the machine's cores."""
        torch.set_num_threads(1)
        return Workshop.open(self.federation, self.task, self.algorithm, self.training, self.splits, self.seed)


class Crew(Protocol):
    """Open executor."""

    held: Held

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Carry out orders; uploads in the order of the orders."""

    def rate(self, x: NDArray[np.floating]) -> Rated:
        """Score and loss of all held-out rows under one model; [P] -> [N], [N]."""


class Alone:
    """Crew of one: this process."""

    def __init__(self, job: Job) -> None:
        self.workshop = job.workshop()
        self.held = self.workshop.held

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Carry out orders one after the other."""
        return [self.workshop.train(broadcast, order) for order in orders]

    def rate(self, x: NDArray[np.floating]) -> Rated:
        """All blocks, one after the other."""
        return join([self.workshop.rate(x, block) for block in range(len(self.held.blocks))])


class RayCrew:
    """Crew of Ray actors. Rows reach them once, through shared memory; a round is one call to each."""

    def __init__(self, job: Job, workers: int) -> None:
        import ray

        self.ray = ray
        self.held = Held.of(job.federation, job.splits)
        # Tasks may run more than once after a crash; an order is a pure function of what is sent, so nothing is lost.
        actor: Any = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Worker)
        # Goes with every call and is opened once by each actor: one that died and came back finds it again.
        self.job = [ray.put(job)]
        self.actors: list[Any] = [actor.remote() for _ in range(workers)]

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Longest order first to the least busy actor; one message out and one back per actor."""
        shares = pack([int(order.steps.sum()) for order in orders], len(self.actors))
        sent = self.ray.put(broadcast)
        return self.ask(shares, lambda actor, share: actor.train.remote(self.job, sent, [orders[at] for at in share]))

    def rate(self, x: NDArray[np.floating]) -> Rated:
        """Blocks dealt round robin."""
        blocks = range(len(self.held.blocks))
        shares = [list(blocks[at :: len(self.actors)]) for at in range(len(self.actors))]
        return join(self.ask(shares, lambda actor, share: actor.rate.remote(self.job, x, share)))

    def ask(self, shares: list[list[int]], call: Callable[[Any, list[int]], Any]) -> list[Any]:
        """Call every actor that has a share, all at once; answers in the order of the items, whoever gave them."""
        busy = [(actor, share) for actor, share in zip(self.actors, shares, strict=True) if share]
        answers: dict[int, Any] = {}
        for (_, share), done in zip(busy, self.ray.get([call(*one) for one in busy]), strict=True):
            answers.update(zip(share, done, strict=True))
        return [answers[at] for at in sorted(answers)]

    def close(self) -> None:
        """End the actors of this crew."""
        for actor in self.actors:
            self.ray.kill(actor)


class Worker:
    """Body of a Ray actor."""

    def __init__(self) -> None:
        self.opened: Workshop | None = None

    def workshop(self, shared: list[Any]) -> Workshop:
        """The workshop of the shared job, opened on the first call."""
        if self.opened is None:
            import ray

            self.opened = ray.get(shared)[0].workshop()
        return self.opened

    def train(self, shared: list[Any], broadcast: Broadcast, orders: list[Order]) -> list[Upload]:
        """Carry out this actor's orders of a round; the sites' models stay here unless they were sent."""
        done = [self.workshop(shared).train(broadcast, order) for order in orders]
        return [
            upload if order.models is not None else replace(upload, models=np.empty(0))
            for order, upload in zip(orders, done, strict=True)
        ]

    def rate(self, shared: list[Any], x: NDArray[np.floating], blocks: list[int]) -> list[Rated]:
        """Score some blocks."""
        return [self.workshop(shared).rate(x, block) for block in blocks]


def pack(costs: Sequence[int], workers: int) -> list[list[int]]:
    """Longest-first packing: numbers of the items each worker gets."""
    shares: list[list[int]] = [[] for _ in range(workers)]
    load = np.zeros(workers)
    for at in sorted(range(len(costs)), key=lambda at: (-costs[at], at)):
        worker = int(load.argmin())
        shares[worker].append(at)
        load[worker] += costs[at]
    return shares


def join(parts: Sequence[Rated]) -> Rated:
    """Blocks end to end."""
    if not parts:
        return Rated(np.empty(0), np.empty(0))
    return Rated(*(np.concatenate(column) for column in zip(*parts, strict=True)))


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


@contextmanager
def crew(executor: Executor, job: Job) -> Iterator[Crew]:
    """Open the executor for one run."""
    if not isinstance(executor, OnRay):
        threads = torch.get_num_threads()
        try:
            yield Alone(job)
        finally:
            torch.set_num_threads(threads)
        return
    with ray_session(executor.workers):
        hands = RayCrew(job, executor.workers)
        try:
            yield hands
        finally:
            hands.close()


EXECUTORS: dict[str, type[Executor]] = {"inprocess": InProcess, "ray": OnRay}
