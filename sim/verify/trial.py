"""One training of a known quadratic: what the engine makes of it, and the schedule a closed form needs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sim.engine.executors import InProcess
from sim.engine.rounds import Evaluation, Simulation, simulate
from sim.local.settings import Training
from sim.methods.algorithms.base import Algorithm, Weighting
from sim.methods.servers import Server
from sim.methods.systems import System
from sim.verify.quadratic import Array, Quadratic, least_squares

T = TypeVar("T")


class Tick(NamedTuple):
    """A round, as the papers see it."""

    lr: float
    sites: NDArray[np.int64]  # [M] those that train
    p: Array  # [M] their weights in the mean, sum 1
    share: float  # their weight over the weight of all sites


@dataclass(frozen=True)
class Trial:
    """A quadratic and the circumstances of its training; full batches unless `training` says otherwise."""

    problem: Quadratic
    steps: tuple[int, ...]  # [S] local steps K_i
    rounds: int
    training: Training
    weighting: Weighting = Weighting.rows
    system: System = field(default_factory=System)
    seed: int = 0

    @property
    def start(self) -> Array:
        """Not zero, so that whoever confuses a model with its change is found out; [D]."""
        return np.linspace(0.5, 1.5, self.problem.centre.shape[1])

    @property
    def weights(self) -> Array:
        """Weight of every site in the objective, sum 1; [S]."""
        weights = self.problem.rows if self.weighting is Weighting.rows else np.ones_like(self.problem.rows)
        return np.asarray(weights / weights.sum())

    def optimum(self) -> Array:
        """Where the pooled objective is least; [D]."""
        return self.problem.optimum(self.weights)

    def path(self, algorithm: Algorithm, server: Server | None = None) -> Array:
        """Server models of rounds 0 to `rounds` from the engine; [T + 1, D]."""
        simulation = Simulation(
            federation=self.problem.federation,
            task=least_squares(self.problem.centre.shape[1]),
            algorithm=algorithm,
            server=server or Server(),
            training=self.training,
            system=self.system,
            evaluation=Evaluation(),
            rounds=self.rounds,
            seed=self.seed,
            steps=np.array(self.steps),
        )
        return np.stack(
            [round.model.numpy() for round in simulate(simulation, InProcess(), torch.from_numpy(self.start))]
        )

    def end(self, algorithm: Algorithm, server: Server | None = None) -> Array:
        """The last server model from the engine; [D]."""
        return np.asarray(self.path(algorithm, server)[-1])

    def ticks(self) -> Iterator[Tick]:
        """The rounds' rates, sites and weights."""
        for number in range(1, self.rounds + 1):
            sites = self.system.sample(len(self.weights), self.seed, number)
            share = self.weights[sites].sum()
            lr = self.training.lr * self.training.decay ** (number - 1)
            yield Tick(lr, sites, self.weights[sites] / share, float(share))


def gap(one: Array, other: Array) -> float:
    """Largest absolute difference."""
    return float(np.abs(one - other).max())


def narrow(entry: type[object], kind: type[T]) -> type[T]:
    """The class as one with `kind`'s settings, which its closed form is written in."""
    if not issubclass(entry, kind):
        raise TypeError(f"{entry.__name__} must be a {kind.__name__} to be held against its closed form")
    return entry
