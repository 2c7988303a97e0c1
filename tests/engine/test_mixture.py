"""Predictions of several models mixed: the mean probability, and the loss of that."""

import numpy as np
import pytest
import torch

from sim.config.compose import experiment
from sim.engine.evaluation import Held, rate
from sim.engine.mixture import rate_mixture
from sim.engine.simulation import SCORED
from sim.local.rows import Rows
from sim.run.run import Prepared, prepare, rehearse
from tests.toy import SMALL

ENSEMBLE = [*SMALL, "algorithm=oneshot", "algorithm.how=ensemble", "evaluation.predictions=last"]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(experiment(SMALL))


def test_a_mixture_predicts_the_mean_probability_and_has_its_log_loss(prepared: Prepared) -> None:
    task, federation = prepared.task, prepared.federation
    rows, held = Rows.of(federation, task), Held.of(federation, SCORED)
    models = torch.randn(3, task.layout.size, generator=torch.Generator().manual_seed(0))
    mixture = np.random.default_rng(1).dirichlet(np.ones(3), len(federation.sites))
    got = rate_mixture(task, rows, models, mixture, held)
    weight = mixture[held.segment // 2]
    chance = sum(weight[:, at] * rate(task, rows, model, held.row).score for at, model in enumerate(models))
    np.testing.assert_allclose(got.score, chance, atol=1e-12)
    right = np.where(federation.y["label"][held.row], chance, 1 - chance)
    np.testing.assert_allclose(got.loss, -np.log(right), rtol=1e-4)


def test_one_model_alone_is_rated_as_ever_bit_for_bit(prepared: Prepared) -> None:
    task, federation = prepared.task, prepared.federation
    rows, held = Rows.of(federation, task), Held.of(federation, SCORED)
    model = task.init(3).float()
    for one, other in zip(
        rate_mixture(task, rows, model[None], np.ones((1, 1)), held), rate(task, rows, model, held.row), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_predictions_of_an_ensemble_are_those_that_it_was_judged_by() -> None:
    run = rehearse(experiment(ENSEMBLE))
    assert run.predictions is not None
    kept, last = run.predictions.numbers, run.sites[(run.sites["metric"] == "brier") & (run.sites["round"] == 3)]
    error = (kept["probability"] - kept["label"]) ** 2
    assert error.mean() == pytest.approx(np.average(last["value"], weights=last["rows"]), rel=1e-12)
