"""Tasks with dense networks, rows that fit them, and one round of local training on a tier."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from sim.local.fused import Fused
from sim.local.plan import Sites
from sim.local.rows import Rows
from sim.local.settings import Tier, Training
from sim.local.tier import choose, trainer
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Phase
from sim.tasks.classify import Classification
from sim.tasks.closed import Loss, closed_form
from sim.tasks.hazard import Hazard
from sim.tasks.nets import MLP, Activation
from sim.tasks.proportional import Proportional
from sim.tasks.task import Task
from sim.verify.quadratic import LeastSquares

BOTH = (Tier.fused, Tier.stacked)
TASKS = ("squared", "logistic", "softmax", "hazard", "proportional")
Phases = Callable[[Local], Sequence[Phase]]


class Softmax(Task):
    """Several classes."""

    @closed_form(Loss.softmax)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        return cross_entropy(output, y["label"].long(), reduction="none")


def build(kind: str, features: int, hidden: list[int], tanh: bool, outputs: int) -> Task:
    """A task of that kind with a dense network."""
    size = outputs if kind in ("softmax", "hazard") else 1
    net = MLP(hidden, Activation.tanh if tanh else Activation.relu).build(features, size)
    edges = np.arange(outputs + 1.0)
    if kind == "proportional":
        return Hazard(Proportional(net, outputs), edges)
    makers = {"squared": LeastSquares, "logistic": Classification, "softmax": Softmax}
    return Hazard(net, edges) if kind == "hazard" else makers[kind](net)


def rows_for(kind: str, rows: int, features: int, outputs: int, dtype: torch.dtype) -> Rows:
    """Random rows with targets that fit the kind."""
    g = torch.Generator().manual_seed(rows * 31 + features)
    x = torch.randn(rows, features, generator=g, dtype=torch.float64)
    if kind == "squared":
        y = {"value": x.sum(1)}
    elif kind == "logistic":
        y = {"label": (x[:, 0] > 0).double()}
    elif kind == "softmax":
        y = {"label": torch.randint(0, outputs, (rows,), generator=g).double()}
    else:
        y = {
            "survived": torch.randint(0, outputs + 1, (rows,), generator=g).double(),
            "failed": torch.randint(0, 2, (rows,), generator=g).double(),
        }
    return Rows(x.to(dtype), {name: column.to(dtype) for name, column in y.items()})


def one_phase(algorithm: Algorithm) -> Phases:
    """All steps of the round in one stretch."""
    return lambda at: [Phase(at.steps, algorithm.correction(at))]


def known(task: Task, sizes: list[int], training: Training, dtype: torch.dtype, start: Tensor | None = None) -> Local:
    """What sites of these sizes know, most steps first; `start` [C, P] where it is not the downloaded model."""
    size = np.array(sizes)
    size = size[np.argsort(-training.site_steps(size), kind="stable")]
    x = task.init(3).to(dtype).expand(len(size), -1)
    rows, steps = (torch.from_numpy(part).to(dtype) for part in (size, training.site_steps(size)))
    return Local(x, x if start is None else start, {}, {}, rows, steps, norm=rows, lr=training.lr)


def train(
    tier: Tier,
    task: Task,
    rows: Rows,
    sizes: list[int],
    algorithm: Algorithm,
    training: Training,
    phases: Phases | None = None,
    start: Tensor | None = None,
) -> NDArray:
    """Models of all sites after one round, most steps first; in the algorithm's one phase unless others are given."""
    size = np.array(sizes)
    order = np.argsort(-training.site_steps(size), kind="stable")
    keys = np.arange(7, 7 + len(size)).astype(np.uint64)[order]
    at = known(task, sizes, training, rows.x.dtype, start)
    work = (phases or one_phase(algorithm))(at)
    sites = Sites((np.cumsum(size) - size)[order], size[order], training.site_steps(size)[order], keys)
    choice = choose(task, algorithm, replace(training, tier=tier))
    made = trainer(choice, task, algorithm, training, rows, seed=5)
    assert isinstance(made, Fused) == (tier is Tier.fused)
    return made.train(algorithm, at, work, sites, round=2).numpy()
