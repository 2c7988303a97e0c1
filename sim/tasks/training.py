"""The loss that local steps descend: the task's own, with batch norms that normalise by the batch."""

from sim.lazy import Tensor
from sim.tasks.task import Batch, Task


def training_loss(task: Task, v: Tensor, batch: Batch) -> Tensor:
    """`task.loss` in training; [P] -> scalar. Where the network has no batch norm, it is that loss itself.

    In the running statistics r, which do not act on it, its gradient is `r - s` with s those of the batch.
    """
    from sim.tasks.normed import batch_norms

    norms = batch_norms(task.module)
    if not norms:
        return task.loss(v, batch)
    for norm in norms:
        norm.valid = batch.valid
    try:
        loss = task.loss(v, batch)
        for norm in norms:
            assert norm.pull is not None
            loss = loss + (norm.pull - norm.pull.detach())
        return loss
    finally:
        for norm in norms:
            norm.valid = norm.pull = None
