"""Metrics that runs record: name, direction and meaning of each."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.arrays import Floats


@dataclass(frozen=True)
class Metric:
    """Name, direction and meaning of a metric."""

    name: str  # for humans
    better: Literal["higher", "lower", "zero"]  # "zero": the sign says in which direction the model errs
    meaning: str  # scale and reading, one clause
    top: float = 1.0  # largest value; the smallest is `bottom`, or -top where the sign is a direction
    bottom: float = 0.0  # smallest value where more is better
    both: bool = False  # whether it compares patients with the event with those without, so that it needs both

    def merit(self, values: Floats) -> Floats:
        """Values with the sign changed where needed so that more is better; any shape."""
        if self.better == "higher":
            return values
        return -values if self.better == "lower" else -np.abs(values)

    def from_merit(self, merit: Floats) -> Floats:
        """Merit back on the scale of the metric; for "zero" the distance from 0, so that sites do not cancel out."""
        return merit if self.better == "higher" else -merit

    def merit_within(self, merit: Floats) -> Floats:
        """Merit cut to the range of the metric, for the ends of intervals; any shape."""
        low, high = (self.bottom, self.top) if self.better == "higher" else (-self.top, 0.0)
        return np.clip(merit, low, high)


BACKDOOR = "backdoor_success"  # of models that learned under attack=backdoor

METRICS: dict[str, Metric] = {
    "loss": Metric("loss", "lower", "mean of the training loss over patients, in nats; 0 = certain and right", np.inf),
    "auroc": Metric(
        "AUROC",
        "higher",
        "chance that a patient with the event scores above one without; 0.5 = a coin, 1 = perfect",
        both=True,
    ),
    "auroc_macro": Metric(
        "macro AUROC",
        "higher",
        "mean over the classes a site has of the AUROC of each against the rest; 0.5 = a coin",
        both=True,
    ),
    "accuracy": Metric("accuracy", "higher", "share of patients whose more, or most, probable class is the true one"),
    "balanced_accuracy": Metric(
        "balanced accuracy",
        "higher",
        "mean over the classes a site has of the share recognised; 1/K = no better than chance",
        both=True,
    ),
    "brier_classes": Metric(
        "Brier score of all classes",
        "lower",
        "squared distances of all probabilities, added up; 0 = perfect, 2 = certain and wrong",
        top=2.0,
    ),
    "brier": Metric(
        "Brier score", "lower", "mean squared distance of probability and outcome; 0 = perfect, 0.25 = always one half"
    ),
    "citl": Metric("calibration in the large", "zero", "observed event rate less mean predicted risk; 0 = calibrated"),
    "rmse": Metric("RMSE", "lower", "root of the mean squared error, in the unit of the outcome; 0 = exact", np.inf),
    "mae": Metric("MAE", "lower", "mean absolute error, in the unit of the outcome; 0 = exact", np.inf),
    "r2": Metric(
        "R2", "higher", "share of the variance explained; 1 = all, below 0 = worse than the mean", bottom=-np.inf
    ),
    "d2": Metric(
        "D2",
        "higher",
        "share of the Poisson deviance explained; 1 = all, below 0 = worse than the mean",
        bottom=-np.inf,
    ),
    "cindex": Metric(
        "C-index", "higher", "chance that of two patients the one at higher risk has the event first; 0.5 = a coin"
    ),
    BACKDOOR: Metric(
        "backdoor success",
        "lower",
        "share of patients of other classes who are called the attacker's target once they bear its mark; 0 = no one",
    ),
}
