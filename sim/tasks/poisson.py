"""Log-linear regression of a count: Poisson likelihood; metrics are D2, RMSE and MAE."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.cohort.outcomes import Count, above
from sim.lazy import Tensor, torch
from sim.metrics.regression import d2, mae, rmse
from sim.tasks.nets import Net
from sim.tasks.task import Constants, OutcomeColumns, Task, TaskSettings


class Poisson(Task):
    """Poisson regression by a module with one output per row, the log of the expected count."""

    outputs = 1
    predicts = "count"
    ratio = "rate"

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """The count; [R]."""
        return {"value": torch.from_numpy(y["value"].astype(np.float32))}

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Negative log-likelihood of every row; [B, 1] -> [B]."""
        rest = torch.lgamma(y["value"] + 1)
        return (
            torch.nn.functional.poisson_nll_loss(
                output[:, 0], y["value"].to(output.dtype), log_input=True, reduction="none"
            )
            + rest
        )

    def score(self, output: Tensor) -> Tensor:
        """Expected count; [N, 1] -> [N]."""
        return output[:, 0].exp()

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether anything was counted; bool [R]."""
        return above(y["value"].astype(np.float64), counts=True)

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """D2, RMSE and MAE; each [G]."""
        value = y["value"].astype(np.float64)
        return {name: metric(score, value, segment, segments) for name, metric in METRICS.items()}


METRICS = {"d2": d2, "rmse": rmse, "mae": mae}


@dataclass
class PoissonSettings(TaskSettings):
    """Predict a count by Poisson regression."""

    kind = Count
    judged_by = ("loss", *METRICS)

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Poisson regression with one output."""
        return Poisson(net.module(features, 1))
