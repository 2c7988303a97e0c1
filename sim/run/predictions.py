"""Scores of the held-out rows under a run's last models, with site, patient groups and outcome."""

from collections.abc import Sequence

import numpy as np

from sim.arrays import Floats
from sim.engine.evaluation import Held, rate_own
from sim.engine.mixture import rate_mixture
from sim.federation.federation import Federation
from sim.local.rows import Rows, view
from sim.records.predictions import Predictions
from sim.run.model import Chosen, Kept
from sim.tasks.task import Task


def predictions(task: Task, federation: Federation, held: Held, kept: Kept) -> Predictions:
    """Every held-out row with its score under the last model, or as it was given where no parameters give it.

    The number of the patient is kept where some have several rows, which a bootstrap must draw together.
    """
    site, split = np.divmod(held.segment, len(held.splits))
    words = {"site": (site, federation.sites), "split": (split, held.splits)}
    words |= {name: (group.codes[held.row], group.levels) for name, group in federation.groups.items()}
    values = dict(held.y)
    if federation.patient is not None:
        values["patient"] = federation.patient[held.row]
    if federation.levels:
        words["label"] = (values.pop("label").astype(np.int64), federation.levels)
    given = kept.scores
    if given is None:
        assert kept.final is not None
        given = scores(task, federation, held, kept.final)
    score = given.reshape(len(held.row), -1)
    return Predictions(words, values | dict(zip(score_names(task, federation.levels), score.T, strict=True)))


def scores(task: Task, federation: Federation, held: Held, chosen: Chosen) -> Floats:
    """Score of every held-out row, [N, *scores]; as many rows at a time as are judged at once."""
    rows, models, mixture = Rows.of(federation, task), chosen.vector, chosen.mixture
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
