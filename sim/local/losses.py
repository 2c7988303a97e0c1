"""The loss of sites' models over all their training rows, whatever tier trains them."""

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.tasks.task import Task

ROWS = 65_536  # padded rows in memory at a time


def losses(task: Task, rows: Rows, models: Tensor, start: NDArray[np.int64], size: NDArray[np.int64]) -> Tensor:
    """Loss of C sites; models [C, P], the first training row and the number of them [C] -> [C].

    Sites of like size go together, so that little is padded.
    """
    loss = torch.empty(len(models), dtype=models.dtype)
    order = np.argsort(-size, kind="stable")
    held = np.cumsum(np.maximum(size[order], 1)) // ROWS
    for part in np.split(order, np.flatnonzero(np.diff(held)) + 1):
        column = np.arange(size[part].max(initial=1))
        row = start[part, None] + np.minimum(column, size[part, None] - 1)
        batch = rows.batch(Step(len(part), row, column < size[part, None]))
        loss[torch.from_numpy(part)] = torch.func.vmap(task.loss)(models[torch.from_numpy(part)], batch)
    return loss
