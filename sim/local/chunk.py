"""A chunk: the unit of work. Orders go out, sums come back; who computes them does not change a bit."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from sim.algorithms.base import Algorithm, Local
from sim.federation import Federation
from sim.local.plan import Sites, steps
from sim.local.rows import Rows, view
from sim.local.settings import Training
from sim.local.stacked import Gradients, train
from sim.score import Held, Rated, rate
from sim.tasks.task import Task

Arrays = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Broadcast:
    """What every site downloads in a round."""

    round: int
    lr: float
    x: NDArray[np.floating]  # [P]
    server: Arrays  # name -> [P]

    @property
    def bytes_site(self) -> int:
        """Bytes that one site downloads."""
        return self.x.nbytes + sum(part.nbytes for part in self.server.values())


@dataclass(frozen=True)
class Order:
    """One chunk's part of a round."""

    sites: NDArray[np.int64]  # [C] numbers of the sites, most steps first
    steps: NDArray[np.int64]  # [C]
    weights: NDArray[np.float64]  # [C]
    state: Arrays  # name -> [C, P]
    models: NDArray[np.floating] | None = None  # [C, P] a start of each site's own, in place of the broadcast model


@dataclass(frozen=True)
class Upload:
    """What a chunk sends back: sums over its sites, and the sites' new state."""

    total: dict[str, NDArray[np.float64]]  # name -> [P] or []: sum of weight * message
    state: Arrays  # name -> [C, P]
    bytes_site: int  # bytes of one site's message
    models: NDArray[np.floating] = field(repr=False)  # [C, P] models after training; stays at the sites


@dataclass
class Workshop:
    """Everything needed to carry out orders; one per process."""

    rows: Rows
    federation: Federation
    held: Held
    gradients: Gradients
    algorithm: Algorithm
    training: Training
    seed: int

    @classmethod
    def open(
        cls,
        federation: Federation,
        task: Task,
        algorithm: Algorithm,
        training: Training,
        splits: tuple[str, ...],
        seed: int,
    ) -> "Workshop":
        """Workshop over a federation's table, which is not copied; `splits` are those that are scored."""
        rows, held = Rows.of(federation, task), Held.of(federation, splits)
        return cls(rows, federation, held, Gradients(task), algorithm, training, seed)

    def rate(self, x: NDArray[np.floating], block: int) -> Rated:
        """Score and loss of one block of held-out rows under one model; [P] -> [n], [n]."""
        return rate(self.gradients.task, self.rows, view(x), self.held.blocks[block])

    def train(self, broadcast: Broadcast, order: Order) -> Upload:
        """Local training of a chunk."""
        federation, training = self.federation, self.training
        rows = federation.rows[order.sites]
        sites = Sites(federation.bounds[order.sites, 0], rows, order.steps, federation.keys[order.sites])
        dtype = self.rows.x.dtype
        at = Local(
            x=view(broadcast.x).expand(len(rows), -1) if order.models is None else view(order.models),
            server={name: view(part) for name, part in broadcast.server.items()},
            site={name: view(part) for name, part in order.state.items()},
            rows=torch.from_numpy(rows).to(dtype),
            steps=torch.from_numpy(order.steps).to(dtype),
            norm=torch.from_numpy(training.norm(order.steps)).to(dtype),
            lr=broadcast.lr,
        )
        plan = steps(sites, training, self.seed, broadcast.round)
        w = train(self.gradients, self.algorithm, at, self.rows, plan, training)
        message, state = self.algorithm.upload(w, at)
        weight = view(order.weights)
        return Upload(
            total={name: torch.tensordot(weight, part.double(), dims=1).numpy() for name, part in message.items()},
            state={name: part.numpy() for name, part in state.items()},
            bytes_site=sum(part[0].numel() * part.element_size() for part in message.values()),
            models=w.numpy(),
        )
