"""The table of all sites as tensors, and the gathering of batches from it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.local.plan import Step
from sim.tasks.task import Batch, Task


def view(array: NDArray[np.generic]) -> Tensor:
    """Tensor on the memory of an array that is only read; the object store hands out read-only ones."""
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


@dataclass(frozen=True)
class Rows:
    """Features and targets of every row; read only."""

    x: Tensor  # [R, D]
    y: Mapping[str, Tensor]  # each [R]

    @classmethod
    def of(cls, federation: Federation, task: Task) -> "Rows":
        """Views of a federation's features, and the task's targets in the same precision."""
        x = view(federation.x)
        return cls(x, {name: column.to(x.dtype) for name, column in task.targets(federation.y).items()})

    def take(self, row: NDArray[np.int64]) -> tuple[Tensor, dict[str, Tensor]]:
        """Copies of rows, in the shape of `row`; [..., D], each [...]."""
        flat = torch.from_numpy(row.reshape(-1))
        x = self.x.index_select(0, flat).view(*row.shape, -1)
        return x, {name: column.index_select(0, flat).view(row.shape) for name, column in self.y.items()}

    def batch(self, step: Step) -> Batch:
        """Rows of one local step; [stacked, B, ...]."""
        x, y = self.take(step.row)
        return Batch(x, y, torch.from_numpy(step.valid))
