"""Adaptation after the last round: scores before and after it are both in the records."""

import pandas as pd
import pytest

from sim.config.compose import experiment
from sim.run.run import rehearse
from tests.toy import SMALL


def losses(*words: str) -> pd.DataFrame:
    """Mean validation loss over sites, by round and kind of model."""
    sites = rehearse(experiment([*SMALL, "net=mlp", *words])).sites
    valid = sites[(sites["split"] == "valid") & (sites["metric"] == "loss")]
    return valid.astype({"model": "str"}).pivot_table("value", "round", "model")


@pytest.mark.parametrize("entry", ["finetune", "fedbabu"])
def test_sites_deploy_the_shared_model_until_they_adapt_it(entry: str) -> None:
    found = losses(f"personal={entry}", "personal.steps=5")
    before, last = found.iloc[:-1], found.iloc[-1]
    assert before["personal"].tolist() == before["shared"].tolist()
    assert last["personal"] != last["shared"]


def test_adaptation_at_every_scoring_begins_at_the_shared_model_of_the_round() -> None:
    often, once = losses("personal=finetune", "personal.adapt=scored"), losses("personal=finetune")
    assert (often["personal"] != often["shared"]).all()
    assert often["shared"].tolist() == once["shared"].tolist()
    assert often["personal"].iloc[-1] == once["personal"].iloc[-1]


def test_no_step_of_adaptation_leaves_the_shared_model() -> None:
    found = losses("personal=finetune", "personal.steps=0")
    assert found["personal"].tolist() == pytest.approx(found["shared"].tolist(), abs=1e-6)
