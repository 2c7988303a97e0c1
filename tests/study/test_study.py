"""Studies: every one in experiments/ runs, and a report can be made again from what it left."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.assets import root
from sim.checks import Refused
from sim.config.compose import experiment
from sim.metrics import BACKDOOR
from sim.records.store import read
from sim.report.page import write_report
from sim.report.tables import summary
from sim.run.run import rehearse
from sim.run.sweep import run_all
from sim.study.cells import index, study_cells
from sim.study.resamples import DRAWS, drawn, resamples
from sim.study.results import overlaps, read_study
from sim.study.study import Study, load, with_overrides
from tests.toy import FED_HEART, SMALL

NAMES = sorted(path.stem for path in (root() / "experiments").glob("*.yaml"))
MANY = 20  # methods
NEEDS = {"fed_heart": [f"cohort.dir={FED_HEART}"]}


def small(name: str, folder: Path) -> Path:
    """Two seeds, two rounds, two scenarios, two dials with two values each; returns the study's folder.

    A study of very many methods has one of each, and tries one value.
    """
    if name in NEEDS and not FED_HEART.is_dir():
        pytest.skip(f"the files of {name} are not here")
    plan = load(name)
    few = 2 if len(plan.methods) < MANY else 1
    tried = {key: values[:2] for key, values in plan.tune.items()} if few > 1 else {}
    plan = replace(plan, seeds=few, scenarios=dict(list(plan.scenarios.items())[:few]), tune=tried)
    plan = replace(plan, dials=[replace(dial, steps=dial.steps[:2]) for dial in plan.dials[:2]])
    rounds = 2 if few > 1 else 12  # exchanges that an exact fit needs
    cells = study_cells(plan, [f"rounds={rounds}", f"results.dir={folder}", *NEEDS.get(name, [])])
    homes = run_all([cell.experiment for cell in cells], folder / name, 1, lambda done: None)
    (folder / name / "study.json").write_text(index(plan, cells, [home.name for home in homes], "test"))
    return folder / name


@pytest.mark.parametrize("name", NAMES)
def test_every_study_runs_and_reports(name: str, tmp_path: Path) -> None:
    folder = small(name, tmp_path)
    gathered = read_study(folder)
    assert {gathered.metric} <= set(gathered.sites["metric"]) <= {gathered.metric, BACKDOOR}
    assert set(gathered.sites["split"]) == {"test"}
    table = summary(gathered)
    assert set(table["method"]) >= {*load(name).methods, "Local only", "Pooled"}
    page = write_report(gathered, folder)
    text = page.read_text()
    first = page.read_bytes()
    assert "<svg" in text
    assert all(run["run"] in text for run in json.loads((folder / "study.json").read_text())["runs"])
    assert write_report(read_study(folder), folder).read_bytes() == first


@pytest.mark.ray
def test_workers_leave_the_same_records(ray_here: None, tmp_path: Path) -> None:
    plan = replace(load("quickstart"), seeds=1)
    cells = study_cells(plan, ["rounds=2", "cohort.patients=400"])[:3]
    experiments = [cell.experiment for cell in cells]
    alone = run_all(experiments, tmp_path / "alone", 1, lambda done: None)
    shared = run_all(experiments, tmp_path / "shared", 2, lambda done: None)
    for one, other in zip(alone, shared, strict=True):
        assert one.name == other.name
        for table in ("rounds.parquet", "sites.parquet"):
            assert (one / table).read_bytes() == (other / table).read_bytes()


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).dials])
def test_every_setting_of_every_dial_is_one(name: str) -> None:
    plan = load(name)
    for dial in plan.dials:
        for words in dial.scenarios.values():
            experiment([*plan.overrides, *words])


def test_a_dial_is_a_scenario_a_value_and_its_figures_replace_theirs(tmp_path: Path) -> None:
    folder = small("heterogeneity", tmp_path)
    gathered = read_study(folder)
    assert list(gathered.runs["scenario"].unique()) == [label for dial in gathered.dials for label in dial.labels]
    first, second = gathered.dials
    runs = gathered.runs.set_index(["scenario", "method", "seed"])["run"]
    assert runs[first.labels[0], "FedAvg", 0] == runs[second.labels[0], "FedAvg", 0]  # both stand at zero: one run
    (folder / "figures").mkdir()
    (folder / "figures" / "old.svg").write_text("of an earlier report")
    page = write_report(gathered, folder).read_text()
    assert {path.name for path in (folder / "figures").iterdir()} == {"dials.svg", "losers-0.svg"}
    assert all(f"<summary>{label}</summary>" in page for dial in gathered.dials for label in dial.labels)


def test_a_setting_may_follow_the_seed() -> None:
    plan = Study("mine", "?", "auroc", 3, ["cohort.consortium=${seed}"], {"FedAvg": []})
    runs = [cell.experiment for cell in study_cells(plan) if cell.method == "FedAvg"]
    assert [(run.seed, run.cohort.consortium) for run in runs] == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("dials", "words"),
    [
        ([{"title": "t", "setting": "cohort.tau", "steps": [0]}], "at least two values"),
        ([{"title": "t", "setting": "cohort.tau", "steps": 0.3}], "are lists"),
        ([{"title": "t", "setting": "cohort.tau", "steps": [0, 1]}] * 2, "occurs twice"),
        ([{"name": "t", "setting": "cohort.tau", "steps": [0, 1]}], "name"),
    ],
)
def test_wrong_dials_are_refused(dials: list[dict[str, object]], words: str, tmp_path: Path) -> None:
    content = {"question": "?", "metric": "auroc", "seeds": 1, "overrides": [], "methods": {"A": []}, "dials": dials}
    (tmp_path / "mine.yaml").write_text(json.dumps(content))
    with pytest.raises(Refused, match=words):
        study_cells(load(str(tmp_path / "mine.yaml")))


def test_unknown_studies_are_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match="quickstart"):
        load("quickstrat")


def test_a_wrong_study_file_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "mine.yaml"
    wrong.write_text("question: why\nmetrics: auroc\n")
    with pytest.raises(Refused, match="metrics"):
        load(str(wrong))


def test_a_wrong_cell_is_refused_before_anything_runs() -> None:
    plan = Study("mine", "?", "auroc", 1, [], {"good": ["algorithm=fedavg"], "bad": ["algorithm=fedpro"]})
    with pytest.raises(Refused, match="fedpro"):
        study_cells(plan)


def test_a_changed_study_says_so() -> None:
    plan = load("quickstart")
    assert with_overrides(plan, ["results.dir=x", "executor=ray"]) == plan
    assert with_overrides(plan, ["rounds=2"]).question == f"{plan.question} (with rounds=2)"


def test_a_metric_that_the_task_does_not_give_is_refused_before_anything_runs() -> None:
    with pytest.raises(Refused, match="cindex, loss"):
        study_cells(load("quickstart"), ["task=hazard"])


def of_backdoor(scenarios: dict[str, list[str]]) -> Study:
    """A study of two rules by how often a backdoor succeeds."""
    methods = {"Mean": ["aggregator=mean"], "Median": ["aggregator=median"]}
    small = [word for word in SMALL if not word.startswith("seed=")]
    return Study("mine", "?", BACKDOOR, 1, [*small, "local.lr=0.2"], methods, scenarios)


def test_a_study_may_ask_how_often_a_backdoor_succeeds(tmp_path: Path) -> None:
    mark = "attack=backdoor"
    plan = of_backdoor({"honest": [mark, "attack.sites=0"], "planted": [mark, "attack.sites=3", "attack.factor=4"]})
    cells = study_cells(plan)
    assert not any(cell.reference for cell in cells)
    homes = run_all([cell.experiment for cell in cells], tmp_path / "mine", 1, lambda done: None)
    (tmp_path / "mine" / "study.json").write_text(index(plan, cells, [home.name for home in homes], "test"))
    gathered = read_study(tmp_path / "mine")
    table = summary(gathered).set_index(["scenario", "method"])
    assert table.loc[("planted", "Mean"), "mean"] > table.loc[("honest", "Mean"), "mean"]
    assert table.index[2:].tolist() == [("planted", "Median"), ("planted", "Mean")]  # the lowest is the best
    np.testing.assert_allclose(table["backdoor"], table["mean"], rtol=1e-12)
    assert "backdoor success" in write_report(gathered, tmp_path / "mine").read_text()


def test_a_backdoor_that_nobody_plants_is_no_metric() -> None:
    plan = of_backdoor({"planted": ["attack=backdoor"], "none": ["attack=signflip"]})
    with pytest.raises(Refused, match="Mean, scenario none has no attack=backdoor.*attack.sites=0"):
        study_cells(plan)


@pytest.mark.parametrize("task", ["response", "hazard"])
def test_tasks_give_the_metrics_they_name(task: str) -> None:
    wanted = experiment([*SMALL, f"task={task}", "rounds=1"])
    assert set(rehearse(wanted).sites["metric"]) == set(wanted.task.judged_by)


def test_a_report_of_changed_records_is_refused(tmp_path: Path) -> None:
    folder = small("quickstart", tmp_path)
    run = json.loads((folder / "study.json").read_text())["runs"][0]["run"]
    (folder / run / "sites.parquet").write_bytes(b"")
    with pytest.raises(Refused, match=run):
        read_study(folder)


def test_a_changed_index_is_refused(tmp_path: Path) -> None:
    folder = small("quickstart", tmp_path)
    path = folder / "study.json"
    content = json.loads(path.read_text())
    content["study"]["margin"] = 0.5
    path.write_text(json.dumps(content))
    with pytest.raises(Refused, match="changed since it was written"):
        read_study(folder)
    del content["digest"]
    path.write_text(json.dumps(content))
    with pytest.raises(Refused, match="damaged"):
        read_study(folder)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cohort=lung", "task=hazard"], 0.25),  # a fifth is tested
        (["cohort=lung", "task=hazard", "split.time=age_years"], np.nan),  # every seed tests the same patients
        (["cohort.patients=600"], 0.0),
    ],
)
def test_the_source_says_whether_seeds_draw_fresh_patients(words: list[str], expected: float) -> None:
    found = overlaps(rehearse(experiment([*words, "rounds=1"]))).set_index("site")["overlap"]
    assert found[""] == pytest.approx(expected, abs=0.03, nan_ok=True)
    assert len(found) > 2


def test_with_one_split_test_patients_are_resampled_where_predictions_are_kept(tmp_path: Path) -> None:
    words = ["cohort=fcube", "task=classify", "cohort.rows=400", "rounds=2", "evaluation.predictions=last"]
    home = run_all([experiment([*words, f"results.dir={tmp_path}"])], tmp_path, 1, lambda done: None)[0]
    run = read(home)
    assert resamples(run, home, "auroc") is None  # seeds draw fresh patients
    fixed = replace(run, info={**run.info, "patients": "fixed", "split": "fixed"})
    found = resamples(fixed, home, "accuracy")
    assert found is not None
    last = run.sites[(run.sites["metric"] == "accuracy") & (run.sites["split"] == "test") & (run.sites["round"] == 2)]
    truth = last.set_index("site")[["value", "rows"]].loc[found.columns.to_list()].astype(float)
    error = (truth["value"] * (1 - truth["value"]) / truth["rows"]) ** 0.5  # of a share
    assert found.mean().to_numpy() == pytest.approx(truth["value"].to_numpy(), abs=0.02)
    assert found.std().to_numpy() == pytest.approx(error.to_numpy(), rel=0.25, abs=1e-6)
    assert resamples(fixed, home, "loss") is None


def test_a_patient_is_drawn_with_all_rows() -> None:
    """Copies of a row add nothing: the spread of a mean is that of the patients, not of the rows."""
    random = np.random.Generator(np.random.PCG64(1))
    patient = random.permutation(np.repeat(np.arange(50), 4))
    row, draw = drawn(patient, random)
    times = np.zeros((DRAWS, 50), dtype=int)
    np.add.at(times, (draw, patient[row]), 1)
    assert (times % 4 == 0).all()  # whoever is drawn comes with four rows
    assert (times.sum(1) == 200).all()
    single, draws = drawn(np.arange(50), np.random.Generator(np.random.PCG64(2)))
    again = np.random.Generator(np.random.PCG64(2)).integers(0, 50, (DRAWS, 50))
    assert (single == again.ravel()).all()  # with a row each, the rows are drawn as they always were
    assert (draws == np.repeat(np.arange(DRAWS), 50)).all()


def test_predictions_say_whose_they_are_where_patients_have_several_rows(tmp_path: Path) -> None:
    rows = [f"p{i // 2},{'AB'[i // 2 % 2]},{i % 7},{i // 4 % 2}" for i in range(160)]
    (tmp_path / "a.csv").write_text("\n".join(["who,site,x,sick", *rows]) + "\n")
    words = ["cohort=tabular", f"cohort.path={tmp_path}/a.csv", "cohort.site=site", "cohort.label=sick"]
    words += ["task=classify", "partition=natural", "rounds=1", "evaluation.predictions=last"]
    for patient, some in (["cohort.patient=who"], True), (["cohort.drop=[who]"], False):
        made = rehearse(experiment([*words, *patient]))
        assert made.predictions is not None
        numbers = made.predictions.numbers.get("patient")
        assert (numbers is not None) == some
        if numbers is not None:
            site = made.predictions.words["site"][0]
            assert set(pd.Series(site).groupby(numbers).size()) == {2}  # a patient is on one side with both rows


def test_a_change_to_what_a_dial_turns_is_refused() -> None:
    with pytest.raises(Refused, match=r"cohort\.tau=1"):
        with_overrides(load("heterogeneity"), ["cohort.tau=1"])


@pytest.mark.parametrize("word", ["seed=3", "algorithm=scaffold", "server=adam", "algorithm.mu=1"])
def test_a_change_that_would_have_no_effect_is_refused(word: str) -> None:
    with pytest.raises(Refused, match=word.split("=")[0]):
        with_overrides(load("quickstart"), [word])


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "", "seeds: two\nquestion: q\nmetric: auroc\noverrides: []\nmethods: {}\n"]
)
def test_files_that_are_no_study_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(Refused, match="not a study"):
        load(str(tmp_path / "mine.yaml"))
