"""The stacked tier: C sites take their local steps together, as one batched computation.

The gradient is `vmap(grad(task.loss))`. It is traced once per shape to a plain list of tensor operations, which gives
the same bits without torch.func's own cost a call (three times faster for four small sites, 1.8 times for 128).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from sim.local.plan import Sites, Step, steps
from sim.local.rows import Rows
from sim.local.settings import Training
from sim.methods.algorithms.base import Algorithm, Correction, Local
from sim.tasks.task import Batch, Task

RESHAPES = {torch.ops.aten.expand.default, torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default}
Shapes = tuple[torch.Size, torch.Size, torch.dtype, float]
_traced: WeakKeyDictionary[Task, dict[Shapes, Callable[..., Tensor]]] = WeakKeyDictionary()


class Gradients:
    """Gradients of a task, traced once per shape for as long as the task lives; `clip` bounds each row's, 0 = not."""

    def __init__(self, task: Task, clip: float = 0.0) -> None:
        self.task = task
        self.clip = clip
        self.traced = _traced.setdefault(task, {})

    def __call__(self, w: Tensor, batch: Batch) -> Tensor:
        """Gradient of every site's loss at its own model; [C, P], [C, B, ...] -> [C, P]."""
        shape = (w.shape, batch.x.shape, w.dtype, self.clip)
        if shape not in self.traced:
            self.traced[shape] = trace(self.task, self.clip, w, batch)
        return self.traced[shape](w, batch.x, batch.valid, *batch.y.values())


def clipped(task: Task, limit: float) -> Callable[[Tensor, Batch], Tensor]:
    """Mean over rows of the gradient of each, scaled down to a norm of at most `limit`; [P] -> [P]."""

    def row(v: Tensor, x: Tensor, y: dict[str, Tensor], valid: Tensor) -> Tensor:
        one = Batch(x[None], {name: column[None] for name, column in y.items()}, valid[None])
        g: Tensor = grad(task.loss)(v, one)
        return g

    def site(v: Tensor, batch: Batch) -> Tensor:
        g: Tensor = vmap(row, in_dims=(None, 0, 0, 0))(v, batch.x, batch.y, batch.valid)  # [B, P]
        scale = (limit / g.norm(dim=1)).clamp(max=1.0) * batch.valid
        mean: Tensor = scale @ g / batch.valid.sum().clamp_min(1)
        return mean

    return site


def trace(task: Task, clip: float, w: Tensor, batch: Batch) -> Callable[..., Tensor]:
    """The stacked gradient as a flat list of tensor operations for these shapes."""
    names = tuple(batch.y)
    stacked = vmap(clipped(task, clip) if clip else grad(task.loss))

    def gradient(w: Tensor, x: Tensor, valid: Tensor, *columns: Tensor) -> Tensor:
        g: Tensor = stacked(w, Batch(x, dict(zip(names, columns, strict=True)), valid))
        return g

    graph: GraphModule = make_fx(gradient)(w, batch.x, batch.valid, *batch.y.values())
    for node in graph.graph.nodes:
        if node.target in RESHAPES and shape(node) == shape(node.args[0]):
            node.replace_all_uses_with(node.args[0])
    graph.graph.eliminate_dead_code()
    graph.recompile()
    run: Callable[..., Tensor] = graph
    return run


def shape(node: Node) -> torch.Size:
    """Shape of what a traced operation returns."""
    size: torch.Size = node.meta["tensor_meta"].shape
    return size


@dataclass(frozen=True)
class Stacked:
    """Trains sites of any module together, or with `single` one at a time."""

    gradients: Gradients
    rows: Rows
    training: Training
    seed: int
    single: bool = False

    def train(self, algorithm: Algorithm, at: Local, sites: Sites, round: int) -> Tensor:
        """Models of C sites after their local steps from `at.x`; [C, P]."""
        correction = algorithm.correction(at)
        w = at.x.clone(memory_format=torch.contiguous_format)  # plain clone() of a broadcast model is column-major
        parts = np.array_split(np.arange(len(w)), len(w) if self.single else 1)
        for part in parts:
            low, high = int(part[0]), int(part[-1]) + 1
            plan = steps(sites.only(part), self.training, self.seed, round)
            self.walk(algorithm, w[low:high], at.x[low:high], some(correction, low, high), at.lr, plan)
        return w

    def walk(
        self, algorithm: Algorithm, w: Tensor, x: Tensor, correction: Correction, lr: float, plan: Iterator[Step]
    ) -> None:
        """Local steps of the sites in `w` [C, P], in place."""
        training = self.training
        velocity = torch.zeros_like(w) if training.momentum else None
        for step in plan:
            stacked, active = len(step.row), step.active
            g = self.gradients(w[:stacked], self.rows.batch(step))[:active]
            here = w[:active]
            if training.weight_decay:
                g = g + training.weight_decay * here
            d = algorithm.direction(g, here, x[:active], some(correction, 0, active))
            if velocity is not None:
                d = velocity[:active].mul_(training.momentum).add_(d)
            here.sub_(d, alpha=lr)


def some(correction: Correction, low: int, high: int) -> Correction:
    """Correction of some of the sites."""
    return correction if correction.drift is None else correction._replace(drift=correction.drift[low:high])
