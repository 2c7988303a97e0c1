"""Sites with labelled rows and a small network in numpy, for algorithms whose local loss is no quadratic.

Gradients are taken by a complex step: Im f(v + i h e_j) / h is exact to rounding where f is analytic (Squire and Trapp,
SIAM Review 1998), and asks nothing of the engine.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sim.arrays import Ints
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import from_arrays
from sim.local.settings import Training
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.random import stream
from sim.tasks.classify import Classification
from sim.tasks.multiclass import Multiclass
from sim.tasks.task import Task
from sim.verify.quadratic import Array

Complex = NDArray[np.complex128]
SIZES, FEATURES, STEP = (9, 5, 12, 7), 2, 1e-30


@functools.cache
def task_of(classes: int, hidden: int) -> Task:
    """The task and its network; one object for each, since the engine traces gradients once per task."""
    outputs = 1 if classes == 2 else classes
    layers: list[nn.Module] = [nn.Linear(FEATURES, hidden, device="meta"), nn.Tanh()] if hidden else []
    module = nn.Sequential(*layers, nn.Linear(hidden or FEATURES, outputs, device="meta"))
    return Classification(module) if classes == 2 else Multiclass(module, classes)


@dataclass(frozen=True)
class Labelled:
    """Four sites whose classes differ in number, full batches, and as many local steps at each."""

    classes: int
    hidden: int = 0  # units of a layer with tanh; 0 = a linear network
    rounds: int = 8
    sites: int = 0  # that train in a round; 0 = all
    weighting: Weighting = Weighting.patients
    balanced: bool = False  # as many rows of every class; else the first class is rare and the second site lacks it
    training: Training = field(default_factory=lambda: Training(lr=0.4, batch=0, steps=3))
    seed: int = 0

    @functools.cached_property
    def rows(self) -> list[tuple[Array, Ints]]:
        """Features [n, D] and labels [n] of every site."""
        rng, made = stream(0, "labelled", self.classes), []
        for site, size in enumerate(SIZES):
            if self.balanced:
                label = np.arange(size * self.classes) % self.classes
            else:
                label = np.minimum(np.arange(size), self.classes - 1) if site != 1 else np.ones(size, np.int64)
            x = rng.standard_normal((len(label), FEATURES)) + label[:, None] * [[0.8, -0.3]]
            made.append((x, label.astype(np.int64)))
        return made

    @property
    def start(self) -> Array:
        """The first model, [P]."""
        return np.linspace(-0.9, 1.1, task_of(self.classes, self.hidden).layout.size)

    @property
    def weights(self) -> Array:
        """Weight of every site, [S]."""
        count = np.array([len(label) for _, label in self.rows], dtype=np.float64)
        return count if self.weighting is Weighting.patients else np.ones_like(count)

    def path(self, roles: Roles) -> Array:
        """Server models of all rounds from the engine; [T + 1, P]."""
        held = {f"site {at}": (x, {"label": label}) for at, (x, label) in enumerate(self.rows)}
        plan = Simulation(
            federation=from_arrays(held),
            task=task_of(self.classes, self.hidden),
            roles=Roles(roles.algorithm, system=Sync(self.sites), weighting=self.weighting),
            training=self.training,
            evaluation=Evaluation(),
            rounds=self.rounds,
            seed=self.seed,
        )
        return np.stack([here.model.numpy() for here in simulate(plan, InProcess(), torch.from_numpy(self.start))])

    def samples(self) -> Iterator[Ints]:
        """Sites of every round."""
        for number in range(1, self.rounds + 1):
            yield Sync(self.sites).sample(len(SIZES), self.seed, number)

    def layers(self, v: Complex, x: Array) -> tuple[Complex, Complex]:
        """Representation [n, H] and logits [n, K] of some rows; those of a binary task are 0 and the log-odds."""
        inner, width = x.astype(np.complex128), self.hidden or FEATURES
        if self.hidden:
            first, v = v[: self.hidden * (FEATURES + 1)], v[self.hidden * (FEATURES + 1) :]
            inner = np.tanh(x @ first[: self.hidden * FEATURES].reshape(self.hidden, -1).T + first[-self.hidden :])
        outputs = len(v) // (width + 1)
        logits = inner @ v[: outputs * width].reshape(outputs, width).T + v[outputs * width :]
        return inner, np.hstack([np.zeros_like(logits), logits]) if outputs == 1 else logits


def entropy(logits: Complex, label: Ints) -> Complex:
    """Cross-entropy of every row; [n, K], [n] -> [n]."""
    return np.asarray(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(label)), label])


def gradient(f: Callable[[Complex], complex], v: Array) -> Array:
    """Gradient of an analytic function at a real point; [P] -> [P]."""
    return np.array([f(v + 1j * STEP * one).imag / STEP for one in np.eye(len(v))])
