"""The loss that local steps descend: the task's own, with batch norms that normalise by the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sim.lazy import Tensor, torch
from sim.tasks.layout import call
from sim.tasks.task import Batch, Task

if TYPE_CHECKING:
    from sim.tasks.normed import BatchNorm


def training_loss(task: Task, v: Tensor, batch: Batch) -> Tensor:
    """`task.loss` in training; [P] -> scalar. Where the network has no batch norm, it is that loss itself.

    In the running statistics r, which do not act on it, its gradient is `r - s` with s those of the batch.
    """
    from sim.tasks.normed import batch_norms

    norms = batch_norms(task.module)
    if not norms:
        return task.loss(v, batch)
    with by_batch(norms, batch.valid):
        loss = task.loss(v, batch)
        for pull in pulls(norms):
            loss = loss + (pull - pull.detach())
        return loss


def with_statistics_of(task: Task, v: Tensor, x: Tensor) -> Tensor:
    """The model with the statistics of these rows in the place of its running ones; [P], two rows or more [N, D].

    Mean and unbiased variance of all rows together, in one batch norm after the other, as training on them would meet
    them.
    """
    from sim.tasks.normed import batch_norms

    norms, model = batch_norms(task.module), v.detach().clone().requires_grad_()
    with by_batch(norms, torch.ones(len(x), dtype=torch.bool)):
        call(task.module, task.layout, model, x)
        (away,) = torch.autograd.grad(torch.stack(pulls(norms)).sum(), model)
    return torch.where(task.layout.statistics, v - away, v)


@contextmanager
def by_batch(norms: Sequence[BatchNorm], valid: Tensor) -> Iterator[None]:
    """Within, batch norms normalise by the valid rows of what they read; bool [B]."""
    for norm in norms:
        norm.valid = valid
    try:
        yield
    finally:
        for norm in norms:
            norm.valid = norm.pull = None


def pulls(norms: Sequence[BatchNorm]) -> list[Tensor]:
    """How far the running statistics of each are from those of the batch that it read: half the squared distance."""
    return [norm.pull for norm in norms if norm.pull is not None]
