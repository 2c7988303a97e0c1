"""Multi-class classification: softmax; metrics are macro AUROC, Brier score, accuracy and balanced accuracy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.cohort.outcomes import Categorical
from sim.lazy import Tensor, torch
from sim.metrics.classes import accuracy_classes, auroc_macro, balanced_accuracy, brier_classes
from sim.tasks.closed import Loss, closed_form
from sim.tasks.nets import Net
from sim.tasks.task import Constants, OutcomeColumns, Task, TaskSettings


class Multiclass(Task):
    """Classification by a module with one output per class, its log-probability up to a constant of the row."""

    predicts = "probability"

    def __init__(self, module: torch.nn.Module, classes: int) -> None:
        super().__init__(module)
        self.outputs, self.scores, self.classes = classes, (classes,), classes

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """Class number, as a float like all targets; [R]."""
        return {"label": torch.from_numpy(y["label"].astype(np.float32))}

    @closed_form(Loss.softmax)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of every row, whose mean is the log loss; [B, K] -> [B]."""
        return torch.nn.functional.cross_entropy(output, y["label"].long(), reduction="none")

    def score(self, output: Tensor) -> Tensor:
        """Probability of every class; [N, K] -> [N, K]."""
        return torch.softmax(output, 1)

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether the class is any but the first; bool [R]."""
        return y["label"].astype(np.int64) > 0

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """Macro AUROC, Brier score, accuracy and balanced accuracy; each [G]."""
        label = y["label"].astype(np.int64)
        return {
            "auroc_macro": auroc_macro(score, label, segment, segments),
            "brier_classes": brier_classes(score, label, segment, segments),
            "accuracy": accuracy_classes(score, label, segment, segments),
            "balanced_accuracy": balanced_accuracy(score, label, segment, segments),
        }


@dataclass
class MulticlassSettings(TaskSettings):
    """Predict one of several classes."""

    kind = Categorical
    judged_by = ("loss", "auroc_macro", "brier_classes", "accuracy", "balanced_accuracy")

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Softmax with one output a class."""
        return Multiclass(net.module(features, len(levels)), len(levels))


@dataclass
class Stage(MulticlassSettings):
    """Predict the stage at diagnosis; by default without the tumour size, which nearly determines it."""

    outcome: str = "stage"
    without: list[str] = field(default_factory=lambda: ["tumor_size_cm"])


@dataclass
class CancerType(MulticlassSettings):
    """Predict the type of cancer, from predictors that are recorded for every cancer."""

    outcome: str = "cancer_type"
