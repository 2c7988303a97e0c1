"""Scores of the held-out rows under a run's last models, with site, patient groups and outcome."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.engine.evaluation import Held, rate_own
from sim.engine.mixture import rate_mixture
from sim.federation.federation import Federation
from sim.local.rows import Rows, view
from sim.records.predictions import Predictions
from sim.tasks.task import Task


def predictions(
    task: Task,
    federation: Federation,
    held: Held,
    models: NDArray[np.floating] | None,
    mixture: Floats | None = None,
    given: Floats | None = None,
) -> Predictions:
    """Every held-out row with its score; models [P] or [S, P], None = the scores are `given` [N, *scores].

    With a `mixture` [S, J] sites mix the predictions of models [J, P]. The patient's number is kept if patients have
    several rows, which a bootstrap must draw together.
    """
    site, split = np.divmod(held.segment, len(held.splits))
    words = {"site": (site, federation.sites), "split": (split, held.splits)}
    words |= {name: (group.codes[held.row], group.levels) for name, group in federation.groups.items()}
    values = dict(held.y)
    if federation.patient is not None:
        values["patient"] = federation.patient[held.row]
    if federation.levels:
        words["label"] = (values.pop("label").astype(np.int64), federation.levels)
    if given is None:
        assert models is not None
        given = scores(task, federation, held, models, mixture)
    score = given.reshape(len(held.row), -1)
    return Predictions(words, values | dict(zip(score_names(task, federation.levels), score.T, strict=True)))


def scores(
    task: Task, federation: Federation, held: Held, models: NDArray[np.floating], mixture: Floats | None
) -> Floats:
    """Score of every held-out row, [N, *scores], computed in the blocks of the evaluation."""
    rows = Rows.of(federation, task)
    if mixture is not None:
        parts = [(part, mixture if len(mixture) == 1 else mixture[slice(*part.sites)]) for part in held.parts()]
        mixed = [rate_mixture(task, rows, view(models), weights, part).score for part, weights in parts]
        return np.concatenate([np.empty((0, *task.scores)), *mixed])
    if models.ndim == 2:
        return rate_own(task, rows, view(models), held).score
    model = view(models)
    rated = [task.predict(model, rows.take(part.row)[0].to(model.dtype)).double().numpy() for part in held.parts()]
    return np.concatenate([np.empty((0, *task.scores)), *rated])


def score_names(task: Task, levels: Sequence[str]) -> list[str]:
    """`risk`, `probability`, or `probability_` and the class for each."""
    return [f"{task.predicts}_{level}" for level in levels] if task.scores else [task.predicts]
