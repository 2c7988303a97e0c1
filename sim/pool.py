"""A pool of long-lived Ray processes that run one job per call; if one dies, only its current job is affected.

Processes with short jobs have a second call waiting, so that none is idle while an answer is transferred.
"""

import sys
import textwrap
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from sim.text import visible

TICK = 0.5  # seconds between looks at the terminal, at signals and at Ray itself
SHORT = 1.0  # seconds of a job below which its process is given two at a time


class RayLost(RuntimeError):
    """Raised if Ray itself died, and with it all processes of the pool."""


class Body(Protocol):
    """Body of a process of the pool."""

    def work(self, job: Any) -> Any:
        """Do a job; an exception here ends the pool."""

    def stop(self) -> None:
        """Called while a job runs: end it early, and all following ones."""


@dataclass(frozen=True)
class Died:
    """Result of a job whose process died in every attempt."""

    times: int
    why: str


@dataclass
class PoolWorker:
    """A process of the pool and its calls."""

    actor: Any
    calls: deque[tuple[Any, str]] = field(default_factory=deque)  # reference and name of a job, in order
    short: bool = False  # its last job was
    since: float = 0.0  # when the job at the head began

    @property
    def free(self) -> bool:
        """Whether it takes another job."""
        return len(self.calls) < (2 if self.short else 1)


class Pool:
    """Processes of an open Ray session."""

    def __init__(self, body: type[Body], workers: int, retries: int) -> None:
        import ray
        from ray._private import worker

        self.ray = ray
        self.node: Any = worker._global_node
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "concurrency_groups": {"beside": 1}}
        self.made: Any = ray.remote(**options)(body)
        self.retries = retries
        self.workers = [PoolWorker(self.made.remote()) for _ in range(workers)]
        self.jobs: dict[str, Any] = {}  # that processes have
        self.again: deque[str] = deque()  # names of those whose process died
        self.deaths: Counter[str] = Counter()
        self.stopped = False

    def run(
        self, next_job: Callable[[int], tuple[str, Any] | None], tick: Callable[[], None]
    ) -> Iterator[tuple[str, Any]]:
        """Jobs by name with their results, or Died, in order of completion. Raises RayLost.

        `next_job` is called with the number of a process that is free; None = there is nothing to do. The iterator
        ends when it returns None for all while none is busy. `tick` is called between two results, and every TICK.
        """
        try:
            while True:
                for number, worker in enumerate(self.workers):
                    while worker.free and (job := self.waiting() or next_job(number)) is not None:
                        self.give(worker, *job)
                heads = {worker.calls[0][0]: worker for worker in self.workers if worker.calls}
                if not heads:
                    return
                ready, _ = self.ray.wait(list(heads), num_returns=1, timeout=TICK)
                for call in ready:
                    if ended := self.result(heads[call]):
                        yield ended
                if not ready:
                    self.demand_ray()
                tick()
        finally:
            self.close()

    def close(self) -> None:
        """End the processes."""
        if not self.node.dead_processes():
            for worker in self.workers:
                self.ray.kill(worker.actor)

    def waiting(self) -> tuple[str, Any] | None:
        """A job that must be repeated."""
        if not self.again or self.stopped:
            return None
        name = self.again.popleft()
        return name, self.jobs[name]

    def give(self, worker: PoolWorker, name: str, job: Any) -> None:
        """Call a process."""
        self.jobs[name] = job
        if not worker.calls:
            worker.since = time.monotonic()
        worker.calls.append((worker.actor.work.remote(job), name))

    def result(self, worker: PoolWorker) -> tuple[str, Any] | None:
        """Result of the current job of a process; None if the process died, and the job waits again."""
        import ray.exceptions as dead

        call, name = worker.calls[0]
        try:
            result: Any = self.ray.get(call)
        except dead.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except dead.RayActorError as death:
            self.demand_ray()
            result = self.replace(worker, death)
            if result is None:
                return None
        except dead.RayError as error:
            raise RayLost(textwrap.shorten(str(error), 300)) from None
        else:
            worker.calls.popleft()
            now = time.monotonic()
            worker.short, worker.since = now - worker.since < SHORT, now
        del self.jobs[name]
        return name, result

    def replace(self, worker: PoolWorker, death: Exception) -> Died | None:
        """Replace a process that died; returns Died if its current job has had too many attempts."""
        (_, first), *others = worker.calls
        self.again.extendleft(name for _, name in reversed(others))
        worker.calls.clear()
        worker.actor, worker.short = self.made.remote(), False
        self.deaths[first] += 1
        if self.deaths[first] > self.retries:
            return Died(self.deaths[first], textwrap.shorten(str(death), 300))
        self.again.appendleft(first)
        return None

    def stop(self) -> None:
        """Ask all processes to end their jobs early; results still arrive, and lost jobs are not repeated."""
        self.stopped = True
        for worker in self.workers:
            worker.actor.stop.options(concurrency_group="beside").remote()

    def demand_ray(self) -> None:
        """Raise RayLost if one of Ray's own processes has ended, because no result would ever arrive."""
        if gone := [str(kind) for kind, _ in self.node.dead_processes()]:
            raise RayLost(f"its {' and '.join(gone)} ended")


def print_lost(lost: RayLost, command: str) -> None:
    """Print to standard error that Ray died, and the command that continues the unfinished work."""
    lines = [f"Ray died: {lost}. All finished runs are written.", "The same command continues from there:"]
    print(visible("\n".join([*lines, f"  {command}"])), file=sys.stderr)
