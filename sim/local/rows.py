"""The table of all sites as tensors, and the gathering of batches from it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.local.plan import Step
from sim.tasks.task import Batch, OutcomeColumns, Task


def view(array: NDArray[np.generic]) -> Tensor:
    """Tensor that shares the memory of an array, which is only read; arrays of the object store are read-only."""
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
        return cls.over(federation.x, federation.y, task)

    @classmethod
    def over(cls, x: NDArray[np.floating], y: OutcomeColumns, task: Task) -> "Rows":
        """The same of features [R, D] and columns of the outcome, each [R]."""
        seen = view(x)
        return cls(seen, {name: column.to(seen.dtype) for name, column in task.targets(y).items()})

    def grouped(self, codes: Tensor) -> "Rows":
        """The same with the group of every row [R] as a target, for objectives that weigh rows by it."""
        return Rows(self.x, {**self.y, "group": codes.to(self.x.dtype)})

    def take(self, row: NDArray[np.int64]) -> tuple[Tensor, dict[str, Tensor]]:
        """Copies of rows, in the shape of `row`; [..., D], each [...]."""
        flat = torch.from_numpy(row.reshape(-1))
        x = self.x.index_select(0, flat).view(*row.shape, -1)
        return x, {name: column.index_select(0, flat).view(row.shape) for name, column in self.y.items()}

    def counts(self, classes: int, federation: Federation) -> Tensor:
        """Training rows of each class at every site, from the target `label`; [S, K]."""
        site = np.repeat(np.arange(len(federation.rows)), federation.rows)
        place = np.arange(len(site)) - np.repeat(np.cumsum(federation.rows) - federation.rows, federation.rows)
        label = self.y["label"].numpy()[federation.bounds[site, 0] + place].astype(np.int64)
        counted = np.bincount(site * classes + label, minlength=len(federation.rows) * classes)
        return torch.from_numpy(counted.reshape(-1, classes)).to(self.x.dtype)

    def batch(self, step: Step) -> Batch:
        """Rows of one local step; [stacked, B, ...]."""
        x, y = self.take(step.row)
        return Batch(x, y, torch.from_numpy(step.valid))
