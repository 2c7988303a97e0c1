"""A task: a network and its loss, written for one site and one parameter vector; the engine applies it to all sites."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused, one_of
from sim.cohort.clinical.unlearnable import varies
from sim.cohort.outcomes import Kind
from sim.cohort.table import Cohort
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.metrics.segments import segment_mean
from sim.tasks.layout import Layout, call
from sim.tasks.nets import Net
from sim.tasks.outcome import choose_outcome
from sim.tasks.start import brings_start, start

OutcomeColumns = Mapping[str, NDArray[np.generic]]  # columns of the outcome, each [R]
Constants = Mapping[str, list[float]]


class Batch(NamedTuple):
    """Rows of one site; `valid` is False in rows of padding, which are copies of real rows."""

    x: Tensor  # [B, D]
    y: dict[str, Tensor]  # each [B]
    valid: Tensor  # bool [B]


def mean_over(rows: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid rows, whatever the others contain; [B], [B] -> scalar; 0 without valid rows."""
    return torch.where(valid, rows, torch.zeros_like(rows)).sum() / valid.sum().clamp_min(1)


class Task:
    """A network and its loss.

    A subclass defines the loss of a row (`row_loss`), the prediction (`score`) and its metrics (`metrics`). `module` is
    any nn.Module without buffers that treats each row by itself, see `sim.tasks.probe`; the task keeps a copy of it.

    outputs      numbers that the module gives for a row; None = any
    scores       shape of a row's prediction: () for one number, (K,) for one a class
    predicts     what these numbers are
    ratio        what exp of a linear coefficient is a ratio of; None where it is none
    whole_sites  the loss is of all training rows of a site together, and no sum over rows
    batched      a loss of whole sites is taken of mini-batches all the same, each as if it were a site
    classes      number of classes of the target `label`; 0 = the task has no classes
    """

    outputs: int | None = None
    classes: int = 0
    scores: tuple[int, ...] = ()
    predicts: ClassVar[str] = "risk"
    ratio: ClassVar[str | None] = "odds"
    whole_sites: ClassVar[bool] = False
    batched: bool = False

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = deepcopy(module).eval()  # the caller's stays as it is
        self.layout = Layout.of(self.module)

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """Tensors that `row_loss` needs, from the outcome's columns; each [R]."""
        raise NotImplementedError

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Loss of every row from the network's output; [B, ...], each [B] -> [B]."""
        raise NotImplementedError

    def score(self, output: Tensor) -> Tensor:
        """Prediction of every row from the network's output: probabilities or risk; [N, ...] -> [N, *scores]."""
        raise NotImplementedError

    def segment_loss(self, score: Floats, row_loss: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> Floats:
        """Loss of every segment: the mean over its rows; [N, *scores], [N] -> [G]."""
        return segment_mean(row_loss, segment, segments)

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """Metrics of every segment (the rows of a site and split); [N, *scores] -> name -> [G]."""
        raise NotImplementedError

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether the outcome happened; bool [R]."""
        raise NotImplementedError

    def informative(self, y: OutcomeColumns) -> Bools:
        """Rows that carry information for the loss: all of them, or for Cox regression the events; bool [R]."""
        return np.ones(len(next(iter(y.values()))), dtype=bool)

    @property
    def convex(self) -> bool:
        """Whether the loss is convex in the parameters: the module has no hidden layer."""
        from sim.tasks.proportional import Proportional

        return all(isinstance(part, torch.nn.Linear | Proportional) for part in self.module.modules())

    @property
    def brings_start(self) -> bool:
        """Whether the module came with values of its own, so that `init` is the same for every seed."""
        return brings_start(self.module, self.layout)

    def init(self, seed: int) -> Tensor:
        """Initial parameters: the module's own where it has values, else drawn, see `sim.tasks.start`; [P]."""
        return start(self.module, self.layout, seed)

    def loss(self, v: Tensor, batch: Batch) -> Tensor:
        """Mean loss over valid rows; [P] -> scalar."""
        return mean_over(self.row_losses(v, batch), batch.valid)

    def row_losses(self, v: Tensor, batch: Batch) -> Tensor:
        """Loss of every row of a batch, padding too; [P] -> [B]."""
        return self.row_loss(call(self.module, self.layout, v, batch.x), batch.y)

    def predict(self, v: Tensor, x: Tensor) -> Tensor:
        """Prediction of every row; [P], [N, D] -> [N, *scores]."""
        return self.score(call(self.module, self.layout, v, x))

    def rate(self, v: Tensor, x: Tensor, y: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Prediction and loss of every row; [P], [N, D], each [N] -> [N, *scores], [N]."""
        output = call(self.module, self.layout, v, x)
        return self.score(output), self.row_loss(output, y)


@dataclass
class TaskSettings:
    """One entry of the `task` config group."""

    kind: ClassVar[Kind]  # of outcome that the task learns
    judged_by: ClassVar[tuple[str, ...]] = ("loss",)  # names of the metrics that the task gives

    outcome: str = ""  # name of the cohort's outcome; empty = its only one of the right kind
    without: list[str] = field(default_factory=list)  # predictors of the cohort that are left out

    def choose(self, cohort: Cohort) -> str:
        """Name of the outcome to learn: the named one, or the cohort's only one of the kind; else a refusal."""
        return choose_outcome(cohort, self.outcome, self.kind)

    def ask(self, cohort: Cohort, outcome: str) -> Cohort:
        """The patients whose outcome is known, with the predictors of the task.

        Refuses a column in `without` that is not a predictor, a task without predictors, and an outcome that cannot be
        learned.
        """
        default = type(self)().without  # a cohort may lack these
        for number, column in enumerate(self.without):
            if column not in default:
                one_of(f"task.without[{number}]", column, cohort.predictors[outcome])
        cohort = cohort.where_known(outcome)
        kept = tuple(column for column in cohort.predictors[outcome] if column not in self.without)
        if not kept:
            raise Refused(f"task.without={self.without}: no predictor of {outcome!r} is left. Shorten it.")
        unlearnable = cohort.unlearnable.get(outcome)
        if unlearnable and not any(column in kept and varies(cohort.table[column]) for column in unlearnable.columns):
            raise Refused(f"{outcome!r} cannot be learned on cohort {cohort.name!r}: {unlearnable.why}")
        if len(kept) == len(cohort.predictors[outcome]):
            return cohort
        return replace(cohort, predictors={**cohort.predictors, outcome: kept})

    def constants(self, federation: Federation) -> Constants:
        """Constants that the task computes from the training rows; they must be valid JSON."""
        return {}

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """The task for D features, the classes of the outcome, and the result of `constants`."""
        raise NotImplementedError

    def build(self, net: Net, federation: Federation) -> Task:
        """The task for this federation's features (and, for survival, its training event times)."""
        return self.restore(net, len(federation.features), federation.levels, self.constants(federation))
