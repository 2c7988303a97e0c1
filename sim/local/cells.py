"""Counts of rows, positive predictions and losses by outcome and group, for sites' models over their training rows."""

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.tasks.task import Task

ROWS = 16_384  # padded rows in memory at a time


def cells(
    task: Task,
    rows: Rows,
    codes: Tensor,
    models: Tensor,
    start: NDArray[np.int64],
    size: NDArray[np.int64],
) -> Tensor:
    """Rows, probabilities above one half and sum of losses of C sites by label and group.

    models [C, P], the first training row and the number of them [C]; codes [R] are 0, 1, or -1 for rows that form a
    third group; -> [C, 2, 3, 3], the last axis in the order above.
    """
    found = torch.zeros(len(models), 6, 3, dtype=models.dtype)
    order = np.argsort(-size, kind="stable")
    held = np.cumsum(np.maximum(size[order], 1)) // ROWS
    for part in np.split(order, np.flatnonzero(np.diff(held)) + 1):
        column = np.arange(size[part].max(initial=1))
        row = start[part, None] + np.minimum(column, size[part, None] - 1)
        batch = rows.batch(Step(len(part), row, column < size[part, None]))
        score, loss = torch.func.vmap(task.rate)(models[torch.from_numpy(part)], batch.x, batch.y)
        group = codes[torch.from_numpy(row)] % 3
        cell = 3 * batch.y["label"].long() + group
        member = ((cell[..., None] == torch.arange(6)) & batch.valid[..., None]).to(models.dtype)  # [C, B, 6]
        counted = torch.stack([torch.ones_like(loss), (score > 0.5).to(loss.dtype), loss], dim=2)  # [C, B, 3]
        found[torch.from_numpy(part)] = member.transpose(1, 2) @ counted
    return found.view(-1, 2, 3, 3)
