"""What tasks of a number share: one output per row, and metrics of the numbers themselves."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from sim.arrays import Floats, Ints
from sim.lazy import Tensor, torch
from sim.tasks.task import OutcomeColumns, Task

Measure = Callable[[Floats, Floats, Ints, int], Floats]  # score [N], value [N], segment [N], segments -> [G]


class NumberTask(Task):
    """A recorded number, predicted by a module with one output per row."""

    outputs = 1
    measures: ClassVar[Mapping[str, Measure]] = {}  # name -> metric

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """The number; [R]."""
        return {"value": torch.from_numpy(y["value"].astype(np.float32))}

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """All of `measures`; each [G]."""
        value = y["value"].astype(np.float64)
        return {name: measure(score, value, segment, segments) for name, measure in self.measures.items()}
