"""The loss of sites' models over all their training rows, and its gradient, for every tier."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.local.settings import Training
from sim.tasks.task import Batch, Task
from sim.tasks.training import training_loss

ROWS = 65_536  # padded rows in memory at a time


def losses(task: Task, rows: Rows, models: Tensor, start: NDArray[np.int64], size: NDArray[np.int64]) -> Tensor:
    """Loss of C sites; models [C, P], the first training row and the number of them [C] -> [C]."""
    loss = torch.empty(len(models), dtype=models.dtype)
    for part, batch in batches(rows, start, size):
        loss[part] = torch.func.vmap(task.loss)(models[part], batch)
    return loss


def gradients(
    task: Task,
    rows: Rows,
    models: Tensor,
    start: NDArray[np.int64],
    size: NDArray[np.int64],
    training: Training,
) -> Tensor:
    """Gradient of the loss of C sites and of its weight decay, each row's clipped as in local steps; -> [C, P]."""
    from sim.local.stacked import clipped

    g = torch.empty_like(models, memory_format=torch.contiguous_format)
    loss = partial(training_loss, task)
    site = clipped(loss, training.clip) if training.clip else torch.func.grad(loss)
    for part, batch in batches(rows, start, size):
        g[part] = torch.func.vmap(site)(models[part], batch)
    return g + training.weight_decay * models if training.weight_decay else g


def row_losses(
    task: Task, rows: Rows, models: Tensor, start: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Loss of every training row of C sites, 0 in padding, and a mask of real rows; [C, P] -> [C, B], bool [C, B]."""
    loss = torch.zeros(len(models), int(size.max(initial=1)), dtype=models.dtype)
    real = torch.zeros(loss.shape, dtype=torch.bool)
    for part, batch in batches(rows, start, size):
        width = batch.valid.shape[1]
        loss[part, :width] = torch.func.vmap(task.row_losses)(models[part], batch) * batch.valid
        real[part, :width] = batch.valid
    return loss, real


def batches(rows: Rows, start: NDArray[np.int64], size: NDArray[np.int64]) -> Iterator[tuple[Tensor, Batch]]:
    """All training rows of C sites in turn: numbers of some sites [c], and their rows [c, B, ...].

    Sites of similar size are combined, so that little is padded.
    """
    order = np.argsort(-size, kind="stable")
    held = np.cumsum(np.maximum(size[order], 1)) // ROWS
    for part in np.split(order, np.flatnonzero(np.diff(held)) + 1):
        column = np.arange(size[part].max(initial=1))
        row = start[part, None] + np.minimum(column, size[part, None] - 1)
        yield torch.from_numpy(part), rows.batch(Step(len(part), row, column < size[part, None]))
