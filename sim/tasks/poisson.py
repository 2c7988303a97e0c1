"""Log-linear regression of a count: Poisson likelihood; metrics are D2, RMSE and MAE."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools
from sim.cohort.outcomes import Count, above
from sim.lazy import Tensor, torch
from sim.metrics.regression import d2, mae, rmse
from sim.tasks.nets import Net
from sim.tasks.numbers import NumberTask
from sim.tasks.task import Constants, OutcomeColumns, Task, TaskSettings

METRICS = {"d2": d2, "rmse": rmse, "mae": mae}


class Poisson(NumberTask):
    """Poisson regression by a module with one output per row, the log of the expected count."""

    measures = METRICS
    predicts = "count"
    ratio = "rate"

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihood of every row; [B, 1] -> [B]."""
        value, likelihood = y["value"].to(output.dtype), torch.nn.functional.poisson_nll_loss
        rest = torch.lgamma(y["value"] + 1)
        return likelihood(output[:, 0], value, log_input=True, reduction="none") + rest

    def score(self, output: Tensor) -> Tensor:
        """Expected count; [N, 1] -> [N]."""
        return output[:, 0].exp()

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether anything was counted; bool [R]."""
        return above(y["value"].astype(np.float64), counts=True)


@dataclass
class PoissonSettings(TaskSettings):
    """Predict a count by Poisson regression."""

    kind = Count
    judged_by = ("loss", *METRICS)

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Poisson regression with one output."""
        return Poisson(net.module(features, 1))
