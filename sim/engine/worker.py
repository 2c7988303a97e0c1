"""Everything needed to carry out orders and to judge models; one per process."""

import copy
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sim.engine.evaluation import Held, Metrics, Rated, measure, rate, rate_own
from sim.engine.messages import Broadcast, Order, Upload
from sim.engine.site_state import Shelf
from sim.federation.federation import Federation
from sim.local.fused import weighted
from sim.local.plan import Sites
from sim.local.rows import Rows, view
from sim.local.settings import Training
from sim.local.tier import Trainer, trainer
from sim.methods.algorithms.base import Algorithm, Local
from sim.profiling import stage
from sim.tasks.task import Task


@dataclass(frozen=True)
class Job:
    """What every process of a run must know."""

    federation: Federation
    task: Task
    algorithm: Algorithm
    training: Training
    splits: tuple[str, ...]
    seed: int

    @property
    def shared_bytes(self) -> int:
        """Size of the features and of what the algorithm keeps at the sites."""
        rows = 2 * len(self.algorithm.site_state) * len(self.federation.sites)
        return rows * self.task.layout.size * self.federation.x.itemsize + self.federation.x.nbytes

    def shelf(self, folder: Path | None) -> Shelf:
        """What the algorithm keeps at the sites; in files of `folder` if other processes must reach it."""
        size, names = self.task.layout.size, self.algorithm.site_state
        sites, dtype = len(self.federation.sites), self.federation.x.dtype
        if folder is None:
            return Shelf.private(names, sites, size, dtype)
        return Shelf.shared(names, sites, size, dtype, folder)


class Own(threading.local):
    """A copy of the task for every thread: torch puts parameters into the module itself while it is called."""

    def __init__(self, task: Task) -> None:
        self.task = copy.deepcopy(task)


@dataclass
class Workshop:
    """An open job."""

    job: Job
    own: Own
    rows: Rows
    parts: list[Held]
    shelf: Shelf
    trainer: Trainer

    @classmethod
    def open(cls, job: Job, folder: Path | None = None) -> "Workshop":
        """One thread a product: the order of a sum must not depend on the machine's cores."""
        torch.set_num_threads(1)
        rows = Rows.of(job.federation, job.task)
        parts = Held.of(job.federation, job.splits).parts()
        with stage("compile"):
            made = trainer(job.task, job.algorithm, job.training, rows, job.seed)
            if parts:
                measure(job.task, parts[0].empty, Rated(np.zeros((0, *job.task.scores)), np.zeros(0)))
        return cls(job, Own(job.task), rows, parts, job.shelf(folder), made)

    def train(self, broadcast: Broadcast, order: Order, current: NDArray[np.int8]) -> Upload:
        """Local training of a chunk; `current` [C] says which of the sites' two rows on the shelf holds."""
        federation, algorithm = self.job.federation, self.job.algorithm
        rows = federation.rows[order.sites]
        sites = Sites(federation.bounds[order.sites, 0], rows, order.steps, federation.keys[order.sites])
        dtype = self.rows.x.dtype
        kept = {name: view(part) for name, part in self.shelf.read(order.sites, current).items()}
        start = kept[algorithm.start] if algorithm.start else view(broadcast.x).expand(len(rows), -1)
        at = Local(
            x=start,
            server={name: view(part) for name, part in broadcast.server.items()},
            site=kept,
            rows=torch.from_numpy(rows).to(dtype),
            steps=view(order.steps).to(dtype),
            norm=torch.from_numpy(self.job.training.norm(order.steps)).to(dtype),
            lr=broadcast.lr,
        )
        w = self.trainer.train(algorithm, at, sites, broadcast.round)
        message, state = algorithm.upload(w, at)
        self.shelf.write(order.sites, current, {name: part.numpy() for name, part in state.items()})
        return Upload(
            total={name: weighted(order.weights, part) for name, part in message.items()},
            bytes_site=sum(part[0].numel() * part.element_size() for part in message.values()),
        )

    def judge(self, part: int, x: NDArray[np.floating] | None, current: NDArray[np.int8]) -> Metrics:
        """Metrics of some sites' held-out rows under one model [P], or (None) each under the site's own."""
        held, task = self.parts[part], self.own.task
        if x is not None:
            rated = rate(task, self.rows, view(x), held.row)
        else:
            low, high = held.sites
            models = self.shelf.arrays[self.job.algorithm.start][current[low:high], np.arange(low, high)]
            rated = rate_own(task, self.rows, view(models), held)
        return measure(task, held, rated)
