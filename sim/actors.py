"""Ray actors that train: rows and state in memory that all of them share, one call to each a round."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.local.messages import Broadcast, Order, Upload
from sim.local.workshop import Job, Workshop
from sim.score import Metrics, join

ROOM = 1.1  # free space, as a multiple of the state, below which shared memory is not used


class RayCrew:
    """Crew of Ray actors. Rows reach them once, through shared memory; a round is one call to each."""

    def __init__(self, job: Job, workers: int, folder: Path) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.ray = ray
        self.folder = folder
        opened = Workshop.open(job, folder)  # also compiles what the actors will load
        self.shelf = opened.shelf
        self.held = [len(part.row) for part in opened.parts]
        node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # Tasks may run more than once after a crash; an order is a pure function of what it reads, so nothing is lost.
        options: dict[str, Any] = {
            "num_cpus": 1,
            "max_restarts": -1,
            "max_task_retries": -1,
            "scheduling_strategy": node,
        }
        actor: Any = ray.remote(**options)(Worker)
        # Goes with every call and is opened once by each actor: one that died and came back finds it again.
        self.job = [ray.put(job)]
        self.actors: list[Any] = [actor.remote() for _ in range(workers)]
        ray.get([actor.ready.remote(self.job, folder) for actor in self.actors])

    @classmethod
    @contextmanager
    def open(cls, job: Job, workers: int) -> Iterator["RayCrew"]:
        """The crew, and a folder for the sites' state, both gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="fedtrial-", dir=memory(job.kept_bytes)) as folder:
            hands = cls(job, workers, Path(folder))
            try:
                yield hands
            finally:
                for actor in hands.actors:
                    hands.ray.kill(actor)

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Longest order first to the least busy actor; one message out and one back per actor."""
        shares = pack([order.work for order in orders], len(self.actors))
        sent, current = self.ray.put(broadcast), self.shelf.current

        def call(actor: Any, share: list[int]) -> Any:
            mine = [(orders[at], current[orders[at].sites]) for at in share]
            return actor.train.remote(self.job, self.folder, sent, mine)

        return self.ask(shares, call)

    def judge(self, x: NDArray[np.floating] | None) -> Metrics:
        """Runs of sites, always by the same actor, which so reads few of the rows."""
        shares = pack(self.held, len(self.actors))
        current = self.shelf.current if x is None else np.zeros(0, np.int8)
        parts = self.ask(shares, lambda actor, share: actor.judge.remote(self.job, self.folder, x, share, current))
        return join(parts) if parts else {}

    def ask(self, shares: list[list[int]], call: Callable[[Any, list[int]], Any]) -> list[Any]:
        """Call every actor that has a share, all at once; answers in the order of the items, whoever gave them."""
        busy = [(actor, share) for actor, share in zip(self.actors, shares, strict=True) if share]
        answers: dict[int, Any] = {}
        for (_, share), done in zip(busy, self.ray.get([call(*one) for one in busy]), strict=True):
            answers.update(zip(share, done, strict=True))
        return [answers[at] for at in sorted(answers)]


class Worker:
    """Body of a Ray actor."""

    def __init__(self) -> None:
        self.opened: Workshop | None = None

    def workshop(self, shared: list[Any], folder: Path) -> Workshop:
        """The workshop of the shared job, opened on the first call."""
        if self.opened is None:
            import ray

            self.opened = Workshop.open(ray.get(shared)[0], folder)
        return self.opened

    def ready(self, shared: list[Any], folder: Path) -> None:
        """Open the workshop, so that no round waits for it."""
        self.workshop(shared, folder)

    def train(
        self, shared: list[Any], folder: Path, broadcast: Broadcast, orders: list[tuple[Order, NDArray[np.int8]]]
    ) -> list[Upload]:
        """Carry out this actor's orders of a round."""
        workshop = self.workshop(shared, folder)
        return [workshop.train(broadcast, order, current) for order, current in orders]

    def judge(
        self,
        shared: list[Any],
        folder: Path,
        x: NDArray[np.floating] | None,
        parts: list[int],
        current: NDArray[np.int8],
    ) -> list[Metrics]:
        """Judge some runs of sites."""
        workshop = self.workshop(shared, folder)
        return [workshop.judge(part, x, current) for part in parts]


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
    """Where files are held in memory, if so many bytes fit; None for the usual place of temporary files."""
    place = "/dev/shm"
    return place if os.path.isdir(place) and shutil.disk_usage(place).free > ROOM * size else None


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
