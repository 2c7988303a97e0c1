"""Trees: scores in place of a model, what they are refused for, and who answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from sim.checks import Refused
from sim.config.compose import experiment
from sim.records import store
from sim.run.keep import keep
from sim.run.run import rehearse
from tests.toy import SMALL

FOREST = [*SMALL, "algorithm=survivalforest", "task=cox", "evaluation.predictions=last"]
BOOST = [*SMALL, "algorithm=histboost", "evaluation.predictions=last"]


def test_a_run_of_trees_keeps_the_scores_that_it_was_judged_by(tmp_path: Path) -> None:
    home = keep(experiment(BOOST), tmp_path)
    run = store.read(home)
    frame = pd.read_parquet(home / "predictions.parquet")
    first = frame["site"].iloc[0]
    mine = frame[(frame["split"] == "valid") & (frame["site"] == first)]
    judged = run.sites[(run.sites["round"] == 3) & (run.sites["metric"] == "loss") & (run.sites["split"] == "valid")]
    told = judged[judged["site"] == first]["value"].item()
    assert told == pytest.approx(log_loss(mine["label"], mine["probability"], labels=[0, 1]))
    assert run.info["parameters"] == 0


def test_more_trees_fit_the_training_outcome_better_than_the_common_rate() -> None:
    loss = rehearse(experiment([*BOOST, "cohort.patients=3000", "rounds=20"])).rounds["loss"]
    assert loss.iloc[-1] < loss.iloc[0] - 0.005


def test_every_round_is_a_tree_and_the_start_pays_for_the_bins() -> None:
    rounds = rehearse(experiment([*BOOST, "algorithm.depth=1"])).rounds
    assert rounds["round"].tolist() == [0, 1, 2, 3]
    assert (np.diff(rounds["seconds"]) > 0).all()
    assert (rounds["bytes_down"].iloc[1:] == 3 * 3 * 8 * rounds["sites"].iloc[1:]).all()  # a split and two leaves


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["task=stage"], "yes-or-no"),
        (["task=hazard"], "survivalforest"),
        (["net=mlp"], "net=linear"),
        (["system.dropout=0.1"], "system.dropout=0"),
        (["system.sites=3"], "system.sites=0"),
        (["uplink=[clip]"], "uplink"),
        (["weighting=sites"], "weighting=patients"),
        (["personal=ditto"], "personal"),
        (["algorithm.bins=256"], "algorithm.bins"),
        (["algorithm.learning_rate=0"], "algorithm.learning_rate"),
    ],
)
def test_what_trees_do_not_go_with_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        rehearse(experiment([*BOOST, *settings]))


@pytest.mark.parametrize("task", ["cox", "hazard"])
def test_a_forest_is_judged_by_c_alone(task: str) -> None:
    run = rehearse(experiment([*FOREST, f"task={task}", "cohort.patients=2000", "cohort.cancers=[lung]"]))
    assert run.info["status"] == "done"
    assert set(run.sites["metric"]) == {"cindex"}
    assert run.sites["value"].mean() > 0.6
    assert run.rounds["bytes_up"].tolist()[0] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["task=response"], "histboost"),
        (["task=hazard", "net=mlp"], "net=linear"),
        (["system.deadline=9"], "system.deadline=0"),
        (["algorithm.drawn=701"], "have 700 trees"),
        (["algorithm.features=99"], "algorithm.features"),
        (["algorithm.min_leaf=0"], "algorithm.min_leaf"),
    ],
)
def test_what_a_forest_does_not_go_with_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        rehearse(experiment([*FOREST, *settings]))
