"""The stacked tier: C sites take their local steps together, as one batched computation.

The gradient is `vmap(grad(task.loss))`. It is traced once per shape to a plain list of tensor operations, which gives
the same bits without torch.func's own cost a call (three times faster for four small sites, 1.8 times for 128).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from sim.algorithms.base import Algorithm, Local
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.local.settings import Training
from sim.tasks.task import Batch, Task


@dataclass
class Gradients:
    """Gradients of a task, traced per shape."""

    task: Task
    traced: dict[tuple[torch.Size, torch.Size], Callable[..., Tensor]] = field(default_factory=dict)

    def __call__(self, w: Tensor, batch: Batch) -> Tensor:
        """Gradient of every site's loss at its own model; [C, P], [C, B, ...] -> [C, P]."""
        shape = (w.shape, batch.x.shape)
        if shape not in self.traced:
            self.traced[shape] = trace(self.task, w, batch)
        return self.traced[shape](w, batch.x, batch.valid, *batch.y.values())


def trace(task: Task, w: Tensor, batch: Batch) -> Callable[..., Tensor]:
    """The stacked gradient as a flat list of tensor operations for these shapes."""
    names = tuple(batch.y)
    stacked = vmap(grad(task.loss))

    def gradient(w: Tensor, x: Tensor, valid: Tensor, *columns: Tensor) -> Tensor:
        return stacked(w, Batch(x, dict(zip(names, columns, strict=True)), valid))

    graph = make_fx(gradient)(w, batch.x, batch.valid, *batch.y.values())
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def train(
    gradients: Gradients, algorithm: Algorithm, at: Local, rows: Rows, plan: Iterator[Step], training: Training
) -> Tensor:
    """Models of C sites after their local steps from `at.x`; [C, P]."""
    correction = algorithm.correction(at)
    w = at.x.clone()
    velocity = torch.zeros_like(w) if training.momentum else None
    for step in plan:
        stacked, active = len(step.row), step.active
        g = gradients(w[:stacked], rows.batch(step))[:active]
        here = w[:active]
        if training.weight_decay:
            g = g + training.weight_decay * here
        part = correction if correction.drift is None else correction._replace(drift=correction.drift[:active])
        d = algorithm.direction(g, here, at.x[:active], part)
        if velocity is not None:
            d = velocity[:active].mul_(training.momentum).add_(d)
        here.sub_(d, alpha=at.lr)
    return w
