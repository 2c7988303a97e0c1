"""Binary classification: logistic loss; metrics are AUROC, Brier score, accuracy and calibration in the large."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.cohort.outcomes import Binary
from sim.lazy import Tensor, torch
from sim.metrics.calibration import brier, citl
from sim.metrics.discrimination import accuracy, auroc
from sim.tasks.closed import Loss, closed_form
from sim.tasks.nets import Net
from sim.tasks.task import Constants, OutcomeColumns, Task, TaskSettings


class Classification(Task):
    """Binary classification by a module with one output per row, the log-odds of the event."""

    outputs = 1
    classes = 2
    predicts = "probability"

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """The label as 0.0 or 1.0; [R]."""
        return {"label": torch.from_numpy(y["label"].astype(np.float32))}

    @closed_form(Loss.logistic)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of every row; [B, 1] -> [B]."""
        return torch.nn.functional.binary_cross_entropy_with_logits(output[:, 0], y["label"], reduction="none")

    def score(self, output: Tensor) -> Tensor:
        """Probability of the event; [N, 1] -> [N]."""
        return torch.sigmoid(output[:, 0])

    def events(self, y: OutcomeColumns) -> Bools:
        """The label; bool [R]."""
        return y["label"].astype(bool)

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """AUROC, Brier score, accuracy at 0.5 and calibration in the large; each [G]."""
        label = self.events(y)
        return {
            "auroc": auroc(score, label, segment, segments),
            "brier": brier(score, label, segment, segments),
            "accuracy": accuracy(score, label, segment, segments),
            "citl": citl(score, label, segment, segments),
        }


@dataclass
class Classify(TaskSettings):
    """Predict a binary outcome."""

    kind = Binary
    judged_by = ("loss", "auroc", "brier", "accuracy", "citl")

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Classification with one output."""
        return Classification(net.module(features, 1))


@dataclass
class Response(Classify):
    """Predict the response to treatment."""

    outcome: str = "response"


@dataclass
class Mortality(Classify):
    """Predict death of any cause within five years, among patients whose follow-up shows it."""

    outcome: str = "mortality_5y"
