"""A pool of long-lived Ray processes that take one job a call; one that dies costs the job that it was at.

A second call waits at every process whose jobs are short, so that none is idle while an answer travels.
"""

import textwrap
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from sim.checks import Refused
from sim.processes import ray_session

TICK = 0.5  # seconds between looks at the terminal and at signals
SHORT = 1.0  # seconds of a job after which its process is given two at a time
START = 120.0  # seconds for a process to begin, after which Ray is asked whether it lives


class Body(Protocol):
    """What lives in a process of the pool."""

    def work(self, job: Any) -> Any:
        """Do a job; an exception here ends the pool."""

    def stop(self) -> None:
        """Asked, beside a job, to end it early."""


@dataclass(frozen=True)
class Died:
    """The end of a job whose process died whenever it was tried."""

    times: int
    why: str


@dataclass
class Hand:
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
    """Open processes."""

    def __init__(self, body: type[Body], workers: int, retries: int) -> None:
        import ray

        self.ray = ray
        self.made: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0, concurrency_groups={"beside": 1})(
            body
        )
        self.retries = retries
        self.hands = [Hand(self.made.remote()) for _ in range(workers)]
        self.jobs: dict[str, Any] = {}  # that processes have
        self.again: deque[str] = deque()  # names of those whose process died
        self.deaths: Counter[str] = Counter()

    def run(
        self, next_job: Callable[[int], tuple[str, Any] | None], tick: Callable[[], None]
    ) -> Iterator[tuple[str, Any]]:
        """Jobs by name with their results, or Died, in order of completion.

        `next_job` is called with the number of a process that is free; None = nothing to do for it now. The iterator
        ends once it says so of all while none is busy. `tick` is called every TICK.
        """
        while True:
            for number, hand in enumerate(self.hands):
                while hand.free and (job := self.waiting() or next_job(number)) is not None:
                    self.give(hand, *job)
            heads = {hand.calls[0][0]: hand for hand in self.hands if hand.calls}
            if not heads:
                return
            with told_if_ray_died():
                ready, _ = self.ray.wait(list(heads), num_returns=1, timeout=TICK)
                self.refuse_dead()
            for call in ready:
                yield from self.take(heads[call])
            tick()

    def waiting(self) -> tuple[str, Any] | None:
        """A job that is to be done again."""
        if not self.again:
            return None
        name = self.again.popleft()
        return name, self.jobs[name]

    def give(self, hand: Hand, name: str, job: Any) -> None:
        """Call a process."""
        self.jobs[name] = job
        if not hand.calls:
            hand.since = time.monotonic()
        hand.calls.append((hand.actor.work.remote(job), name))

    def take(self, hand: Hand) -> Iterator[tuple[str, Any]]:
        """The result at the head of a process's calls; a process that died is replaced, and its jobs wait again."""
        call, name = hand.calls[0]
        with told_if_ray_died():
            try:
                result = self.ray.get(call)
            except self.ray.exceptions.RayActorError as death:
                result = self.replaced(hand, death)
                if result is None:
                    return
            else:
                hand.calls.popleft()
                now = time.monotonic()
                hand.short, hand.since = now - hand.since < SHORT, now
        self.jobs.pop(name)
        yield name, result

    def replaced(self, hand: Hand, death: Exception) -> Died | None:
        """Put a fresh process in place of one that died; Died where the job at its head killed too many."""
        (_, first), *others = hand.calls
        self.again.extendleft(name for _, name in reversed(others))
        hand.calls.clear()
        hand.actor, hand.short = self.made.remote(), False
        self.deaths[first] += 1
        if self.deaths[first] > self.retries:
            return Died(self.deaths[first], textwrap.shorten(str(death), 300))
        self.again.appendleft(first)
        return None

    def stop(self) -> None:
        """Ask all processes to end their jobs early; their results come as ever."""
        for hand in self.hands:
            hand.actor.stop.options(concurrency_group="beside").remote()

    def refuse_dead(self) -> None:
        """Refuse to wait for a Ray whose own processes are gone."""


def told_if_ray_died():
    from contextlib import nullcontext
    return nullcontext()
