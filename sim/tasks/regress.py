"""Regression of a number: squared error; metrics are RMSE, MAE and R2."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools
from sim.cohort.outcomes import Numeric, above
from sim.lazy import Tensor
from sim.metrics.regression import mae, r2, rmse
from sim.tasks.closed import Loss, closed_form
from sim.tasks.nets import Net
from sim.tasks.numbers import NumberTask
from sim.tasks.task import Constants, OutcomeColumns, Task, TaskSettings

METRICS = {"rmse": rmse, "mae": mae, "r2": r2}


class Regression(NumberTask):
    """Regression by a module with one output per row, the expected outcome."""

    measures = METRICS
    predicts = "value"
    ratio = None

    @closed_form(Loss.squared)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Half the squared error of every row; [B, 1] -> [B]."""
        return 0.5 * (output[:, 0] - y["value"]) ** 2

    def score(self, output: Tensor) -> Tensor:
        """Expected outcome; [N, 1] -> [N]."""
        return output[:, 0]

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether the outcome is above the median of all rows; bool [R]."""
        return above(y["value"].astype(np.float64), counts=False)


@dataclass
class Regress(TaskSettings):
    """Predict a number by squared error; the outcome keeps its unit."""

    kind = Numeric
    judged_by = ("loss", *METRICS)

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Regression with one output."""
        return Regression(net.module(features, 1))
