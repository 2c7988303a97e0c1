"""Coefficients of exact analyses in the records are those of a regression on the pooled training rows."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from sim.checks import Refused
from sim.config.compose import experiment
from sim.run.run import Prepared, prepare, rehearse
from sim.tasks.cox import Cox

LUNG = ["cohort=lung", "task=cox", "partition=natural", "algorithm=cox_webdisco"]


def pooled(prepared: Prepared) -> pd.DataFrame:
    """Training rows of all sites with their features as recorded, in single precision as the engine holds them."""
    federation = prepared.federation
    train = np.concatenate([np.arange(first, end) for first, end, *_ in federation.bounds])
    assert federation.recipe is not None
    x = federation.x[train].astype(float) * federation.recipe.scale[0] + federation.recipe.mean[0]
    frame = pd.DataFrame(x, columns=federation.features)
    frame = frame.loc[:, frame.max() - frame.min() > 1e-9]
    return frame.assign(**{name: federation.y[name][train] for name in ("time_days", "event")})


@pytest.mark.parametrize("executor", ["inprocess", "ray"])
def test_hazard_ratios_are_lifelines(executor: str) -> None:
    asked = experiment([*LUNG, f"executor={executor}"])
    prepared = prepare(asked)
    run = rehearse(asked, prepared)
    model = CoxPHFitter().fit(pooled(prepared), "time_days", "event")
    rows = pd.DataFrame(run.info["estimates"]["rows"]).set_index("name").loc[model.params_.index]
    np.testing.assert_allclose(rows["coefficient"], model.params_, rtol=1e-5, atol=1e-7)
    bounds = np.exp(model.confidence_intervals_.to_numpy())
    np.testing.assert_allclose(rows[["low", "high"]], bounds, rtol=1e-4)
    assert run.info["estimates"]["left_out"] == ["ecog missing"]


def test_bytes_are_those_of_the_sums() -> None:
    run = rehearse(experiment([*LUNG, "algorithm.stratified=true"]))
    width = len(run.info["estimates"]["rows"])
    assert isinstance(prepare(experiment(LUNG)).task, Cox)
    assert set(run.rounds["bytes_up"].iloc[1:-1] / run.rounds["sites"].iloc[1:-1]) == {
        8 * (1 + width + width * (width + 1) // 2)
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["algorithm=newton", "cohort=lung", "task=cox"], "algorithm=cox_webdisco"),
        (["algorithm=cox_webdisco", "cohort.patients=600"], "task=cox"),
        (["algorithm=newton", "cohort.patients=600", "net=mlp"], "net=linear"),
        (["algorithm=newton", "cohort.patients=600", "system.dropout=0.1"], "system.dropout=0"),
        (["algorithm=newton", "cohort.patients=600", "rounds=2"], "converge in 2 rounds"),
        (["algorithm=newton", "cohort.patients=600", "aggregator=median"], "aggregator"),
    ],
)
def test_what_is_no_exact_fit_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        rehearse(experiment(settings))
