"""One class among several: softmax, judged by log loss, macro AUROC, Brier score, accuracy and balanced accuracy."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sim.arrays import Bools, Floats, Ints
from sim.cohort.outcomes import Categorical
from sim.cohort.table import Cohort
from sim.federation.federation import Federation
from sim.metrics.classes import accuracy_classes, auroc_macro, balanced_accuracy, brier_classes
from sim.tasks.closed import Loss, closed_form
from sim.tasks.nets import Net
from sim.tasks.outcome import only
from sim.tasks.task import Columns, Task, TaskSettings


class Multiclass(Task):
    """A module with one output a class, the log-odds of each up to a constant of the row."""

    def __init__(self, module: nn.Module, classes: int) -> None:
        super().__init__(module)
        self.scores = (classes,)

    def targets(self, y: Columns) -> dict[str, Tensor]:
        """Number of the class, as a float like all targets; [R]."""
        return {"label": torch.from_numpy(y["label"].astype(np.float32))}

    @closed_form(Loss.softmax)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of every row, whose mean is the log loss; [B, K] -> [B]."""
        return cross_entropy(output, y["label"].long(), reduction="none")

    def score(self, output: Tensor) -> Tensor:
        """Probability of every class; [N, K] -> [N, K]."""
        return torch.softmax(output, 1)

    def events(self, y: Columns) -> Bools:
        """Any class but the first; bool [R]."""
        return y["label"].astype(np.int64) > 0

    def metrics(self, score: Floats, y: Columns, segment: Ints, segments: int) -> dict[str, Floats]:
        """Each [G]."""
        label = y["label"].astype(np.int64)
        return {
            "auroc_macro": auroc_macro(score, label, segment, segments),
            "brier_classes": brier_classes(score, label, segment, segments),
            "accuracy": accuracy_classes(score, label, segment, segments),
            "balanced_accuracy": balanced_accuracy(score, label, segment, segments),
        }


@dataclass
class MulticlassSettings(TaskSettings):
    """Predict one class among several."""

    judged_by = ("loss", "auroc_macro", "brier_classes", "accuracy", "balanced_accuracy")

    def choose(self, cohort: Cohort) -> str:
        """The named outcome, or the cohort's only one of several classes."""
        return only(cohort, self.outcome, Categorical)

    def build(self, net: Net, federation: Federation) -> Task:
        """Softmax with one output a class."""
        classes = len(federation.levels)
        return Multiclass(net.build(len(federation.features), classes), classes)


@dataclass
class Stage(MulticlassSettings):
    """Predict the stage at diagnosis, from what does not give it away; the size nearly does."""

    outcome: str = "stage"
    without: list[str] = field(default_factory=lambda: ["tumor_size_cm"])


@dataclass
class CancerType(MulticlassSettings):
    """Predict which cancer it is, from what is the same question in every cancer."""

    outcome: str = "cancer_type"
