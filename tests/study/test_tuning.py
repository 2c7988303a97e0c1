"""Tuning: every method with the same values, judged with those of least mean validation loss."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import DictConfig

from sim.checks import Refused
from sim.cli.study import carry_out
from sim.config import many
from sim.config.compose import composed, experiment
from sim.run.sweep import Launch
from sim.study.cells import study_cells
from sim.study.results import read_study
from sim.study.study import Study, load
from sim.study.tuning import candidates, choose
from sim.terminal import output

RATES = {"local.lr": [0.001, 0.3]}
STUDY = """
question: Which?
metric: auroc
seeds: 2
tune: {local.lr: [0.001, 0.3]}
overrides: [cohort=calibrated, cohort.patients=900, task=response, rounds=3]
methods:
  FedAvg: [algorithm=fedavg]
  Fixed: [algorithm=fedavg, local.lr=0.01]
"""


def test_every_combination_is_tried_but_what_a_method_sets_itself() -> None:
    tune = {"local.lr": [1, 2], "local.epochs": [3, 4]}
    assert candidates(tune, []) == [
        ["local.lr=1", "local.epochs=3"],
        ["local.lr=1", "local.epochs=4"],
        ["local.lr=2", "local.epochs=3"],
        ["local.lr=2", "local.epochs=4"],
    ]
    assert candidates(tune, ["local.lr=9"]) == [["local.epochs=3"], ["local.epochs=4"]]
    assert candidates({}, []) == [[]]


def test_settings_of_a_study_are_composed_once_for_all_values_that_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []

    def counted(words: Sequence[str]) -> DictConfig:
        asked.append(words)
        return composed(words)

    monkeypatch.setattr(many, "composed", counted)
    plan = Study("mine", "?", "auroc", 2, ["cohort.patients=900"], {"A": [], "B": ["algorithm=scaffold"]}, tune=RATES)
    cells = study_cells(plan)
    assert len(asked) == 3  # two methods, and the references
    for cell in cells:
        if not cell.reference:
            words = ["cohort.patients=900", *plan.methods[cell.method], cell.tuned, f"seed={cell.experiment.seed}"]
            assert cell.experiment == experiment(words)


def test_the_least_mean_loss_is_chosen_for_each_method_and_scenario() -> None:
    cells = pd.DataFrame(
        [
            (f"{scenario}{tuned}{seed}", "A", scenario, tuned, seed)
            for scenario in "xy"
            for tuned in "pq"
            for seed in (0, 1)
        ],
        columns=["run", "method", "scenario", "tuned", "seed"],
    )
    losses = {"xp0": 1.0, "xp1": 1.0, "xq0": 0.1, "xq1": 2.5, "yp0": 3.0, "yp1": float("inf"), "yq0": 9.0, "yq1": 9.0}
    assert choose(cells, losses)["run"].tolist() == ["xp0", "xp1", "yq0", "yq1"]
    assert choose(cells, {})["run"].tolist() == ["xp0", "xp1", "yp0", "yp1"]


def test_a_study_is_judged_with_the_rate_that_suits_each_method(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(STUDY)
    study = load(str(tmp_path / "mine.yaml"))
    federated = [cell for cell in study_cells(study) if not cell.reference]
    assert len(federated) == 2 * 3
    carry_out(output(), [f"results.dir={tmp_path}"], str(tmp_path / "mine.yaml"), 0, "", Launch(1))
    records = read_study(tmp_path / "mine")
    rates = {
        (method, records.settings[run]["local"]["lr"])  # type: ignore[index]
        for method, run in records.runs[["method", "run"]].itertuples(index=False)
        if method in study.methods
    }
    assert rates == {("FedAvg", 0.3), ("Fixed", 0.01)}
    assert records.provenance["tuned"].startswith("local.lr of 0.001, 0.3")
    assert "local.lr of" in (tmp_path / "mine" / "index.html").read_text()


def test_a_tuned_setting_cannot_be_given_beside() -> None:
    assert "local.lr" in Study("mine", "?", "auroc", 1, [], {"A": []}, tune=RATES).chosen_settings


@pytest.mark.parametrize("tune", [{"local.lr": [1]}, {"local.lr": 1}])
def test_nothing_to_choose_from_is_refused(tune: dict[str, list[object]]) -> None:
    with pytest.raises(Refused, match="at least two"):
        Study("mine", "?", "auroc", 1, [], {"A": []}, tune=tune)
