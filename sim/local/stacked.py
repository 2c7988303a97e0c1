"""The stacked tier: C sites take their local steps together, as one batched computation.

The gradient is `vmap(grad(task.loss))`. It is traced once per shape to a plain list of tensor operations, which gives
the same bits without torch.func's cost per call (three times faster for four small sites, 1.8 times for 128).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from torch.fx import GraphModule, Node

from sim.lazy import Tensor, torch
from sim.local.optimisers import Adam
from sim.local.plan import Sites, Step, steps
from sim.local.private import Noised, poisson_steps
from sim.local.rows import Rows
from sim.local.running import Running
from sim.local.settings import Optimizer, Sampling, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Gradient, Local, Phase
from sim.methods.shorten import shortening
from sim.tasks.task import Batch, Task
from sim.tasks.traced import traced
from sim.tasks.training import training_loss

RESHAPES = {torch.ops.aten.expand.default, torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default}
Loss = Callable[[Tensor, Batch], Tensor]
Shapes = tuple[torch.Size, torch.Size, torch.dtype, float, object]
_traced: WeakKeyDictionary[Task, dict[Shapes, Callable[..., Tensor]]] = WeakKeyDictionary()


class Gradients:
    """Gradients of the sites' objective, traced once per shape; `clip` bounds that of each row, 0 = no clipping.

    Traces are kept as long as the task exists; those of a method's objective by its class and settings.
    """

    def __init__(self, task: Task, algorithm: Algorithm, clip: float = 0.0) -> None:
        self.task = task
        self.algorithm = algorithm
        self.clip = clip
        self.plain = type(algorithm).objective is Algorithm.objective
        self.minimised: object = "" if self.plain else (type(algorithm), repr(algorithm))
        self.traced = _traced.setdefault(task, {})

    def __call__(self, w: Tensor, batch: Batch, at: Local) -> Tensor:
        """Gradient of every site's objective at its own model; [C, P], [C, B, ...] -> [C, P]."""
        known = [] if self.plain else flat(at)
        shape = (w.shape, batch.x.shape, w.dtype, self.clip, self.minimised)
        if shape not in self.traced:
            self.traced[shape] = self.trace(w, batch, at, known)
        return self.traced[shape](w, batch.x, batch.valid, *batch.y.values(), *known)

    def trace(self, w: Tensor, batch: Batch, at: Local, known: list[Tensor]) -> Callable[..., Tensor]:
        """The stacked gradient as a flat list of tensor operations for these shapes."""
        names, targets = tuple(batch.y), len(batch.y)

        def gradient(w: Tensor, x: Tensor, valid: Tensor, *rest: Tensor) -> Tensor:
            columns = dict(zip(names, rest[:targets], strict=True))
            if self.plain:
                site = self.of_site(partial(training_loss, self.task))
                g: Tensor = torch.func.vmap(site)(w, Batch(x, columns, valid))
                return g
            sizes = tuple(0 if axis else None for axis in lifted(at))

            def minimised(v: Tensor, batch: Batch, *known: Tensor) -> Tensor:
                mine = unflat(at, known)
                return self.of_site(lambda v, batch: self.algorithm.objective(self.task, v, batch, mine))(v, batch)

            g = torch.func.vmap(minimised, in_dims=(0, 0, *sizes))(w, Batch(x, columns, valid), *rest[targets:])
            return g

        return simplified(traced(gradient, w, batch.x, batch.valid, *batch.y.values(), *known))

    def of_site(self, loss: Loss) -> Loss:
        """Gradient of a loss at one site, or the mean of its rows' clipped gradients; [P], Batch -> [P]."""
        return clipped(loss, self.clip) if self.clip else torch.func.grad(loss)


def flat(at: Local) -> list[Tensor]:
    """The parts of a `Local` that an objective may read, as a list of tensors in a fixed order."""
    lr = torch.as_tensor(at.lr, dtype=at.x.dtype)
    counts = [] if at.counts is None else [at.counts]
    return [at.x, at.start, at.rows, at.steps, at.norm, lr, *counts, *at.site.values(), *at.server.values()]


def lifted(at: Local) -> list[bool]:
    """Which of the tensors of `flat` have a first axis of sites."""
    return [True] * 5 + [False] + [True] * (at.counts is not None) + [True] * len(at.site) + [False] * len(at.server)


def unflat(at: Local, known: tuple[Tensor, ...]) -> Local:
    """The `Local` of one site from the tensors of `flat`; its `lr` is a tensor."""
    x, start, rows, steps, norm, lr, *rest = known
    counts = None if at.counts is None else rest.pop(0)
    site = dict(zip(at.site, rest, strict=False))
    server = dict(zip(at.server, rest[len(site) :], strict=True))
    return Local(x, start, server, site, rows, steps, norm, lr, counts=counts)  # type: ignore[arg-type]


def clipped(loss: Loss, limit: float) -> Loss:
    """Mean over rows of the gradient of each, scaled down to a norm of at most `limit`; [P] -> [P]."""

    def row(v: Tensor, x: Tensor, y: dict[str, Tensor], valid: Tensor) -> Tensor:
        one = Batch(x[None], {name: column[None] for name, column in y.items()}, valid[None])
        g: Tensor = torch.func.grad(loss)(v, one)
        return g

    def site(v: Tensor, batch: Batch) -> Tensor:
        g: Tensor = torch.func.vmap(row, in_dims=(None, 0, 0, 0))(v, batch.x, batch.y, batch.valid)  # [B, P]
        scale = shortening(g.norm(dim=1), limit) * batch.valid
        mean: Tensor = scale @ g / batch.valid.sum().clamp_min(1)
        return mean

    return site


def simplified(graph: GraphModule) -> Callable[..., Tensor]:
    """A traced computation without reshapes to the same shape."""
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

    def train(self, algorithm: Algorithm, at: Local, phases: Sequence[Phase], sites: Sites, round: int) -> Tensor:
        """Result of the local steps of C sites from `algorithm.begin`: models, [C, P], or also additional values."""
        w = algorithm.begin(at).clone(
            memory_format=torch.contiguous_format
        )  # plain clone() of a broadcast model is column-major
        for part in np.array_split(np.arange(len(w)), len(w) if self.single else 1):
            low, high = int(part[0]), int(part[-1]) + 1
            begin = np.zeros(len(part), dtype=np.int64)
            for phase in phases:
                here = phase.only(low, high)
                count = whole(here.steps) * algorithm.batches
                drawn = (sites.only(part)._replace(steps=count), self.training, self.seed, round, begin)
                plan = poisson_steps(*drawn) if self.training.sampling is Sampling.poisson else steps(*drawn)
                noised = Noised.of(*drawn) if self.training.private else None
                self.walk(algorithm, w[low:high], at.only(low, high), here, plan, noised)
                begin = begin + count
        return w

    def walk(
        self, algorithm: Algorithm, w: Tensor, at: Local, phase: Phase, plan: Iterator[Step], noised: Noised | None
    ) -> None:
        """Local steps of the sites, which change `w` and the optimiser's state in `at.site` in place."""
        training, correction = self.training, phase.correction.anchored(at.x)
        velocity = torch.zeros_like(w) if training.momentum else None
        adam = None if training.optimizer is Optimizer.sgd else Adam.over(w, training, at.site)
        running = Running.of(self.gradients.task.layout)
        for number, step in enumerate(plan):
            active, stacked = step.active, len(step.row)
            batches = [self.rows.batch(one) for one in (step, *islice(plan, algorithm.batches - 1))]
            here = w[:active]
            release = partial(noised, step=step, number=number) if noised else None
            gradient: Gradient = partial(self.gradient, w[:stacked], batches, at.only(0, stacked), release)
            followed: Tensor | None = None
            if running is not None:  # the algorithm's direction is `Algorithm.direction`, which asks once
                g = gradient(here)
                gradient, followed = constant(g), running.followed(here, g, phase.moves)
            d = algorithm.direction(gradient, here, at.only(0, active), correction.only(0, active))
            if phase.moves is not None:
                d = d * phase.moves
            if adam is not None:
                adam.step(here, d, at.lr, phase.moves)
            else:
                here.sub_(d if velocity is None else velocity[:active].mul_(training.momentum).add_(d), alpha=at.lr)
            if running is not None and followed is not None:
                here[:, running.marks] = followed

    def gradient(
        self,
        w: Tensor,
        batches: list[Batch],
        at: Local,
        release: Callable[[Tensor], Tensor] | None,
        v: Tensor,
        batch: int = 0,
    ) -> Tensor:
        """Gradient of the objective and its weight decay at v [C, P]; w fills up with sites that are done."""
        w = w[:, : at.x.shape[1]]
        same = v.data_ptr() == w.data_ptr()
        full = w if same else torch.cat([v, w[len(v) :]])
        g = self.gradients(full, batches[batch], at)
        g = (release(g) if release else g)[: len(v)]
        apart = self.training.optimizer is Optimizer.adamw
        if not self.training.weight_decay or apart:
            return g
        decayed = v * ~running.marks if (running := Running.of(self.gradients.task.layout)) else v
        return g + self.training.weight_decay * decayed


def constant(g: Tensor) -> Gradient:
    """A gradient that ignores its arguments."""
    return lambda v, batch=0: g


def whole(steps: Tensor) -> NDArray[np.int64]:
    """Numbers of steps as integers, [C]."""
    return steps.numpy().astype(np.int64)
