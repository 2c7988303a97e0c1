"""Ray actors that train: rows and state in shared memory, one call to each actor per round."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.engine.evaluation import Metrics, join
from sim.engine.job import Job
from sim.engine.messages import Broadcast, Candidates, Order, Upload
from sim.engine.worker import Worker
from sim.exact.sums import Message as Sums
from sim.exact.sums import State as Seen
from sim.exact.sums import SumProtocol
from sim.processes import RESTARTS, explained
from sim.scratch import SHARED_MEMORY, scratch

ROWS = "rows.x"  # file of the federation's features, beside those of the sites' state
INLINE = 100_000  # bytes up to which a message travels inside the calls
WAIT = 300.0  # seconds for all actors to begin; each imports torch
ROOM = 1.1  # free space, as a multiple of rows and state, below which shared memory is not used


class ActorCrew:
    """Base class of crews of Ray actors: distribution of calls, and order of the answers."""

    def __init__(self, ray: Any, opened: Worker) -> None:
        """`ray` is the module; `opened` is the job in the server's process, which compiles code that actors load."""
        self.ray = ray
        self.memory = opened.memory
        self.part_rows = [len(part.row) for part in opened.parts]
        self.actors: list[Any] = []

    def ask(self, shares: list[list[int]], call: Callable[[Any, list[int]], Any]) -> list[Any]:
        """Call all actors that have a share at once; answers are in the order of the items."""
        raise NotImplementedError

    def losses(self, x: NDArray[np.floating], sites: Ints) -> Floats:
        """Equal parts of the sites to each actor."""
        parts = np.array_split(sites, len(self.actors))
        shares = [[at] if len(part) else [] for at, part in enumerate(parts)]
        found = self.ask(shares, lambda actor, share: actor.losses.remote(x, [parts[at] for at in share]))
        return np.concatenate([np.zeros(0), *found])

    def answers(self, analysis: SumProtocol, seen: Seen, sites: Ints) -> list[Sums]:
        """Equal parts of the sites to each actor."""
        parts = np.array_split(sites, len(self.actors))
        shares = [[at] if len(part) else [] for at, part in enumerate(parts)]
        found = self.ask(shares, lambda actor, share: actor.answers.remote(analysis, seen, [parts[at] for at in share]))
        return [answer for part in found for answer in part]


class RayCrew(ActorCrew):
    """Crew of Ray actors on this machine. Rows are in shared memory; a round is one call to each actor."""

    def __init__(self, job: Job, workers: int, folder: Path) -> None:
        import ray

        job.federation.share(folder / ROWS)
        super().__init__(ray, Worker.open(job, folder))
        self.folder = folder
        self.job = [ray.put(replace(job, federation=job.federation.without_rows()))]
        self.actors = self.hire(workers)
        self.admit(self.actors)

    def hire(self, workers: int) -> list[Any]:
        """Start actors on this machine, as many as asked for; refuses if they do not start in time."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        node = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        # Tasks may run more than once after a crash; an order is a pure function of what it reads, so nothing is lost.
        options: dict[str, Any] = {
            "num_cpus": 1,
            "max_restarts": RESTARTS,
            "max_task_retries": RESTARTS,
            "scheduling_strategy": node,
        }
        body: Any = self.ray.remote(**options)(Actor)
        actors = [body.remote() for _ in range(workers)]
        begun, waiting = self.ray.wait(
            [one.__ray_ready__.remote() for one in actors], num_returns=workers, timeout=WAIT
        )
        if waiting:
            raise Refused(
                f"{len(begun)} of {workers} Ray workers started within {WAIT} s: something else uses the CPUs of this "
                "session. Lower executor.workers, use executor=inprocess, or free them."
            )
        return actors

    def dismiss(self) -> None:
        """End all actors."""
        for actor in self.actors:
            self.ray.kill(actor)

    def admit(self, actors: Sequence[Any]) -> None:
        """Have actors open the job."""
        with explained():
            self.ray.get([actor.open.remote(self.job, self.folder) for actor in actors])

    @classmethod
    @contextmanager
    def open(cls, job: Job, workers: int) -> Iterator["RayCrew"]:
        """The crew, and a folder for the sites' state; both are removed afterwards."""
        with scratch(memory(job.shared_bytes)) as folder:
            crew = cls(job, workers, folder)
            try:
                yield crew
            finally:
                crew.dismiss()

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Longest order first to the least busy actor; one message out and one back per actor."""
        shares = pack([order.work for order in orders], len(self.actors))
        # A small message is copied into each call; a large one is put where all can read it.
        sent = broadcast if broadcast.nbytes * len(self.actors) < INLINE else self.ray.put(broadcast)
        current = self.memory.current

        def call(actor: Any, share: list[int]) -> Any:
            return actor.train.remote(sent, [(orders[at], current[orders[at].sites]) for at in share])

        return self.ask(shares, call)

    def judge(self, models: Candidates) -> Metrics:
        """Groups of sites, always evaluated by the same actor, which therefore reads few of the rows."""
        current = self.memory.current if models.own else np.zeros(0, np.int8)
        shares = pack(self.part_rows, len(self.actors))
        parts = self.ask(shares, lambda actor, share: actor.judge.remote(models, share, current))
        return join(parts) if parts else {}

    def ask(self, shares: list[list[int]], call: Callable[[Any, list[int]], Any]) -> list[Any]:
        """Call all actors that have a share at once; answers are in the order of the items.

        An actor that was restarted has no open job and answers None: it receives the job and is called again.
        """
        busy = [(actor, share) for actor, share in zip(self.actors, shares, strict=True) if share]
        answers: dict[int, Any] = {}
        while busy:
            with explained():
                given = self.ray.get([call(*one) for one in busy])
            for (_, share), done in zip(busy, given, strict=True):
                answers.update(zip(share, done or [], strict=done is not None))
            busy = [one for one, done in zip(busy, given, strict=True) if done is None]
            self.admit([actor for actor, _ in busy])
        return [answers[at] for at in sorted(answers)]


class Body:
    """Base class of actors: they answer from the rows of an open job."""

    worker: Worker | None = None

    @property
    def opened(self) -> Worker:
        """The worker, once a job is open."""
        assert self.worker is not None
        return self.worker

    def losses(self, x: NDArray[np.floating], parts: list[Ints]) -> list[Floats] | None:
        """Losses of one model at some sites."""
        if self.worker is None:
            return None
        return [self.worker.losses_under(x, part) for part in parts]

    def answers(self, analysis: SumProtocol, seen: Seen, parts: list[Ints]) -> list[list[Sums]] | None:
        """Answers of some sites in an analysis by sums."""
        if self.worker is None:
            return None
        return [self.worker.answers(analysis, seen, part) for part in parts]


class Actor(Body):
    """Body of an actor of this machine; until a job is opened it answers None."""

    def open(self, shared: list[Any], folder: Path) -> None:
        """Open the job, so that no round waits for it."""
        import ray

        job = ray.get(shared)[0]
        whole = replace(job, federation=job.federation.with_rows(folder / ROWS))
        self.worker = Worker.open(whole, folder)

    def train(self, broadcast: Broadcast, orders: list[tuple[Order, NDArray[np.int8]]]) -> list[Upload] | None:
        """Carry out this actor's orders of a round."""
        if self.worker is None:
            return None
        return [self.worker.train(broadcast, order, current) for order, current in orders]

    def judge(self, models: Candidates, parts: list[int], current: NDArray[np.int8]) -> list[Metrics] | None:
        """Judge some runs of sites."""
        if self.worker is None:
            return None
        return [self.worker.judge(part, models, current) for part in parts]


def pack(costs: Sequence[float], workers: int) -> list[list[int]]:
    """Longest-first packing: numbers of the items each worker gets."""
    shares: list[list[int]] = [[] for _ in range(workers)]
    load = np.zeros(workers)
    for at in sorted(range(len(costs)), key=lambda at: (-costs[at], at)):
        worker = int(load.argmin())
        shares[worker].append(at)
        load[worker] += costs[at]
    return shares


def memory(size: int) -> str | None:
    """Folder for files in memory, if so many bytes fit; None for the usual folder of temporary files."""
    place = SHARED_MEMORY
    return place if os.path.isdir(place) and shutil.disk_usage(place).free > ROOM * size else None
