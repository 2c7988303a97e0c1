"""Ray actors on the nodes of a cluster without shared memory: the sites' state is sent with the orders and returned.

The server's process holds the state of all sites. If a node dies, only the calls that it was working on are lost: an
order is a pure function of what is sent, and is carried out again elsewhere.
"""

import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.engine.carried_state import CarriedState
from sim.engine.evaluation import Metrics, join
from sim.engine.job import Job
from sim.engine.messages import Arrays, Broadcast, Candidates, Order, Upload
from sim.engine.ray_actors import INLINE, WAIT, ActorCrew, Body, pack
from sim.engine.worker import Worker
from sim.methods.contract import OWN
from sim.methods.roles import UP
from sim.processes import RESTARTS, explained

GO_ON = "The same command goes on from the last checkpoint once the cluster has nodes again."
NOBODY = np.zeros(0, np.int8)  # in place of `current`, which carried state does not need


class NodeCrew(ActorCrew):
    """Crew of Ray actors spread over the nodes of a cluster. Rows reach every node once, through its object store."""

    def __init__(self, job: Job, workers: int) -> None:
        import ray

        opened = Worker.open(job)
        super().__init__(ray, opened)
        self.places = [np.arange(*part.sites) for part in opened.parts]
        self.job = ray.put(replace(job, federation=job.federation.without_rows()))
        self.rows = ray.put(job.federation.x)
        self.coming: dict[Any, Any] = {}  # actors that open the job, by the reference of the answer
        self.spare = RESTARTS * workers  # actors that may still take the place of lost ones
        self.lost = ""  # what Ray said of the last one
        self.wanted = workers
        self.call_up(workers)
        self.admit(workers, WAIT)
        if len(self.actors) < workers:
            raise Refused(
                f"{len(self.actors)} of {workers} Ray workers started within {WAIT} s: something else uses the CPUs of "
                f"the cluster, or its nodes fail. Lower executor.workers, or free them.{self.lost}"
            )

    @classmethod
    @contextmanager
    def open(cls, job: Job, workers: int) -> Iterator["NodeCrew"]:
        """The crew, whose actors are gone afterwards."""
        crew = cls(job, workers)
        try:
            yield crew
        finally:
            for actor in [*crew.actors, *crew.coming.values()]:
                crew.dismiss(actor)

    def call_up(self, number: int) -> None:
        """Start new actors that open the job, on nodes with a free CPU, now or as soon as there is one."""
        body: Any = self.ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(NodeActor)
        for _ in range(number):
            actor = body.remote()
            self.coming[actor.open.remote(self.job, self.rows)] = actor

    def admit(self, least: int, seconds: float) -> None:
        """Add actors that have opened the job to the crew; wait for the given number, at most for the given time."""
        until = time.monotonic() + seconds
        while self.coming and len(self.actors) < least:
            opened, _ = self.ray.wait(list(self.coming), timeout=max(until - time.monotonic(), 0))
            if not opened:
                return
            actor = self.coming.pop(opened[0])
            if self.answer(opened[0]) is None:
                self.replace(actor)
            else:
                self.actors.append(actor)

    def replace(self, actor: Any) -> None:
        """Give up an actor that cannot be reached, and start another one as long as replacements are left."""
        self.dismiss(actor)
        if self.spare:
            self.spare -= 1
            self.call_up(1)

    def dismiss(self, actor: Any) -> None:
        """End an actor; it may be dead already, or its node out of reach."""
        with suppress(Exception):
            self.ray.kill(actor)

    def answer(self, reference: Any) -> Any:
        """What an actor answered; None if it, or its node, is lost."""
        import ray.exceptions as dead

        lost = (dead.RayActorError, dead.ObjectLostError, dead.WorkerCrashedError, dead.NodeDiedError)
        with explained():
            try:
                return self.ray.get(reference)
            except lost as error:
                self.lost = f" Ray says: {textwrap.shorten(str(error), 300)}"
                return None

    def train(self, broadcast: Broadcast, orders: Sequence[Order]) -> list[Upload]:
        """Longest order first to the least busy actor; the sites' state is sent along and returned with the sums."""
        sent = self.sent(broadcast, broadcast.nbytes)
        names = None if broadcast.adapt else [name for name in self.memory.arrays if not name.startswith(UP)]

        def call(actor: Any, share: list[int]) -> Any:
            return actor.train.remote(
                sent, [(orders[at], self.memory.read(orders[at].sites, names=names)) for at in share]
            )

        done = self.ask(pack([order.work for order in orders], len(self.actors)), call)
        for order, (_, back) in zip(orders, done, strict=True):
            self.memory.write(order.sites, self.memory.current[order.sites], back)
        return [upload for upload, _ in done]

    def judge(self, models: Candidates) -> Metrics:
        """Groups of sites, with their own models."""
        names = [OWN] if models.own else []
        sent = self.sent(models, models.x.nbytes)

        def call(actor: Any, share: list[int]) -> Any:
            return actor.judge.remote(sent, [(at, self.memory.read(self.places[at], names=names)) for at in share])

        parts = self.ask(pack(self.part_rows, len(self.actors)), call)
        return join(parts) if parts else {}

    def sent(self, message: Any, size: int) -> Any:
        """A small message is copied into each call; a large one is stored so that every node fetches it once."""
        return message if size * len(self.actors) < INLINE else self.ray.put(message)

    def ask(self, shares: list[list[int]], call: Callable[[Any, list[int]], Any]) -> list[Any]:
        """Call all actors that have a share at once; answers are in the order of the items.

        The calls of a lost actor are repeated by the remaining actors, and by those that replace it.
        """
        answers: dict[int, Any] = {}
        for _ in range(RESTARTS + 1):
            asked = [
                (actor, share, call(actor, share)) for actor, share in zip(self.actors, shares, strict=True) if share
            ]
            left: list[int] = []
            for actor, share, reference in asked:
                done = self.answer(reference)
                if done is None:
                    self.actors.remove(actor)
                    self.replace(actor)
                    left += share
                else:
                    answers.update(zip(share, done, strict=True))
            self.admit(self.wanted, 0)
            if not left:
                return [answers[at] for at in sorted(answers)]
            self.refuse_nobody()
            shares = [left[at :: len(self.actors)] for at in range(len(self.actors))]
        raise Refused(f"Ray gave up: an order failed on {RESTARTS + 1} workers.{self.lost} {GO_ON}")

    def refuse_nobody(self) -> None:
        """Wait for a new actor if none is left; refuse if none starts."""
        if not self.actors:
            self.admit(1, WAIT)
        if not self.actors:
            raise Refused(
                f"All workers of the Ray cluster are gone, and no node has a CPU for new ones.{self.lost} {GO_ON}"
            )


class NodeActor(Body):
    """Body of an actor whose node does not share the server's memory."""

    def open(self, job: Job, x: NDArray[np.floating]) -> bool:
        """Open the job on the rows in this node's object store."""
        self.worker = Worker.open(replace(job, federation=replace(job.federation, x=x)))
        return True

    def train(self, broadcast: Broadcast, orders: list[tuple[Order, Arrays]]) -> list[tuple[Upload, Arrays]]:
        """Carry out this actor's orders of a round: returns sums, and the new state of the sites."""
        return [self.carried_out(broadcast, *order) for order in orders]

    def carried_out(self, broadcast: Broadcast, order: Order, kept: Arrays) -> tuple[Upload, Arrays]:
        """One order, with what its sites keep."""
        worker, carried = self.opened, CarriedState.of(kept)
        worker.memory = carried
        return worker.train(broadcast, order, NOBODY), carried.written

    def judge(self, models: Candidates, parts: list[tuple[int, Arrays]]) -> list[Metrics]:
        """Judge some runs of sites."""
        return [self.judged(models, *part) for part in parts]

    def judged(self, models: Candidates, part: int, kept: Arrays) -> Metrics:
        """One run of sites, with what they keep."""
        self.opened.memory = CarriedState.of(kept)
        return self.opened.judge(part, models, NOBODY)
