"""Mixed predictions of several models, with weights per site or common weights."""

import numpy as np

from sim.arrays import Floats
from sim.engine.evaluation import Held, Rated, rate
from sim.federation.federation import Federation
from sim.lazy import Tensor
from sim.local.rows import Rows
from sim.tasks.task import Task


def mean_mixture(mine: Floats, federation: Federation) -> Floats:
    """Mixture of a site that has none of its own: the mean of the members' [N, J] by training rows; [J]."""
    return np.asarray(np.average(mine, axis=0, weights=federation.rows[federation.members]))


def rate_mixture(task: Task, rows: Rows, models: Tensor, mixture: Floats, held: Held) -> Rated:
    """Mean score of the models and loss `-log sum_j m_j exp(-loss_j)` of every held-out row.

    models [J, P]; mixture [S, J], a row for each of `held.sites`, or [1, J] for all. For losses that are negative log
    likelihoods this is that of the mixed prediction.
    """
    site = held.segment // len(held.splits) if len(mixture) > 1 else np.zeros(len(held.row), np.int64)
    rated = [rate(task, rows, model, held.row) for model in models]
    score = np.zeros((len(held.row), *task.scores))
    least = np.min([one.loss for one in rated], axis=0)
    likelihood = np.zeros(len(held.row))
    for weight, one in zip(mixture[site].T, rated, strict=True):
        score += weight.reshape(-1, *(1,) * len(task.scores)) * one.score
        likelihood += weight * np.exp(least - one.loss)
    with np.errstate(divide="ignore"):  # a likelihood of 0 is an infinite loss
        return Rated(score, least - np.log(likelihood))
