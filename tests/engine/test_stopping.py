"""Early stopping: when training ends, what the record says of it, and that a study loses no run by it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.simulation import Round
from sim.engine.stopping import Patience, until_stale
from sim.records.outcome import how_it_ended
from sim.records.store import Run
from sim.report.scores import scores
from sim.run.check import checked
from sim.run.run import rehearse
from tests.report.known_study import study
from tests.toy import SMALL

HASTY = [*SMALL, "rounds=60", "local.lr=1", "local.epochs=20", "net=mlp"]  # learns its rows by heart


def run(*words: str) -> Run:
    return rehearse(experiment([*HASTY, *words]))


def rounds_of(*losses: float) -> list[Round]:
    """Scored rounds with these losses; NaN = not scored."""
    made = [Round(at, None, loss=loss) for at, loss in enumerate(losses)]
    return [one if np.isnan(one.loss) else replace(one, metrics={"shared": {}}) for one in made]


def test_patience_counts_scorings_without_a_new_lowest_loss() -> None:
    nan = float("nan")
    assert len(list(until_stale(iter(rounds_of(3, 2, 2.5, 1, 1, 1.5, 0.5)), Patience(2)))) == 6
    assert len(list(until_stale(iter(rounds_of(3, 2, nan, nan, 2.5, nan, 2.1, 0.5)), Patience(2)))) == 7
    assert len(list(until_stale(iter(rounds_of(3, 4, 5, 6)), Patience(0)))) == 4
    assert Patience(2, 1.0, 2).over
    assert not Patience(2, 1.0, 1).over


@pytest.mark.parametrize("method", ["algorithm=fedavg", "algorithm=ifca"])
def test_training_ends_with_patience_and_the_record_says_where(method: str) -> None:
    whole, cut = run(method), run(method, "evaluation.stop=3")
    stop = cut.info["stopped"]
    assert whole.info["stopped"] is None
    assert stop["patience"] == 3
    assert stop["round"] == stop["best"] + 3 == cut.rounds["round"].max() < 60
    assert cut.info["status"] == "done"
    assert whole.rounds["loss"].iloc[: stop["round"] + 1].idxmin() == stop["best"]
    columns = ["round", "loss", "bytes_up"]
    pd.testing.assert_frame_equal(cut.rounds[columns], whole.rounds[columns].iloc[: stop["round"] + 1])
    assert how_it_ended(cut.info) == f"Stopped after round {stop['round']}, best in round {stop['best']}"
    assert how_it_ended(whole.info) == "done"


def test_scorings_count_and_not_rounds() -> None:
    stop = run("evaluation.stop=2", "evaluation.every=3").info["stopped"]
    assert stop["round"] == stop["best"] + 6


def test_sites_adapt_where_training_stopped() -> None:
    cut = run("evaluation.stop=3", "personal=finetune")
    last = cut.sites[cut.sites["round"] == cut.info["stopped"]["round"]].astype({"model": "str"})
    means = last[(last["split"] == "valid") & (last["metric"] == "loss")].groupby("model")["value"].mean()
    assert means["personal"] != means["shared"]


def test_references_go_on() -> None:
    assert run("evaluation.stop=1", "algorithm=local", "rounds=3").info["stopped"] is None


def test_without_validation_rows_nothing_says_when_to_stop() -> None:
    with pytest.raises(Refused, match=r"evaluation\.stop=3: early stopping needs a validation loss"):
        checked([("", experiment([*SMALL, "evaluation.stop=3", "split.valid=0"]))])


def test_a_run_that_stopped_stays_in_the_means_of_later_rounds() -> None:
    """Of three seeds one stops after round 2: its value there stands in round 4, and its end is that of round 2."""
    records = study()
    gone = "FedAvg-0"
    sites = records.sites[(records.sites["run"] != gone) | (records.sites["round"] <= 2)]
    rounds = records.rounds[(records.rounds["run"] != gone) | (records.rounds["round"] <= 2)]
    found = scores(replace(records, sites=sites, rounds=rounds, stopped={gone: 2}))
    mine = found.curve[found.curve["run"] == gone].set_index("round")
    assert mine["carried"].to_dict() == {0: False, 2: False, 4: True}
    assert mine["merit"][4] == mine["merit"][2]
    assert mine["mb"][4] == mine["mb"][2]
    end = found.end.set_index("run").loc[gone]
    assert (end["round"], end["reached"], end["status"]) == (2, False, "done")
    assert set(found.final.loc[found.final["run"] == gone, "round"]) == {2}
    assert not scores(records).curve["carried"].any()
