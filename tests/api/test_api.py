"""fedtrial from Python: settings, runs, sweeps and arrays do what the command line and files do, or are refused."""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import fedtrial
from sim.assets import root
from sim.cohort.outcomes import Outcome
from sim.config.compose import experiment as from_words
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.contract import Weighting
from sim.run.run import run_id
from tests.toy import SMALL
from tests.toy import cohort as toy

TINY = {"cohort.patients": 600, "cohort.sites": 7, "rounds": 3, "local.batch": 16, "local.chunk": 2, "seed": 1}
ROWS = 60


def arrays(**other: Any) -> dict[str, Any]:
    """Arguments of `fedtrial.cohort` for 60 rows at three sites."""
    draw = np.random.Generator(np.random.PCG64(3))
    given = {"X": draw.normal(size=(ROWS, 3)), "y": draw.random(ROWS) < 0.5, "site": np.repeat(["a", "b", "c"], 20)}
    return {name: value for name, value in (given | other).items() if value is not None}


def test_the_document_runs() -> None:
    text = (root() / "docs" / "python.md").read_text()
    exec("\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)), {"__name__": "notebook"})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "fedprox", "algorithm.mu": 0.1}, ["algorithm=fedprox", "algorithm.mu=0.1"]),
        ({"algorithm": {"is": "fedprox", "mu": 0.1}}, ["algorithm=fedprox", "algorithm.mu=0.1"]),
        ({"local": {"lr": np.float64(0.1), "epochs": np.int64(2)}}, ["local.lr=0.1", "local.epochs=2"]),
        ({"weighting": Weighting.sites}, ["weighting=sites"]),
        ({"uplink": ["clip", "topk"], "uplink.topk.ratio": 0.2}, ["uplink=[clip,topk]", "uplink.topk.ratio=0.2"]),
        ({"net": {"is": "mlp", "hidden": (8, 4)}}, ["net=mlp", "net.hidden=[8,4]"]),
        ({"scenario": "rare24", "rounds": 2}, ["scenario=rare24", "rounds=2"]),
        (
            {"cohort": {"is": "tabular", "label": "y", "files": {"a": "x y.csv", "b": Path("it's.csv")}}},
            ["cohort=tabular", "cohort.label=y", "+cohort.files.a='x y.csv'", "+cohort.files.b='it\\'s.csv'"],
        ),
        ({"cohort": "tabular", "cohort.path": "${x}\\ 'é", "cohort.value": "null"}, None),
    ],
)
def test_settings_mean_what_they_mean_on_the_command_line(settings: Mapping[str, Any], words: list[str] | None) -> None:
    if words is None:
        with pytest.raises(fedtrial.Refused, match="x"):  # an interpolation of a key that is not there
            fedtrial.experiment(settings)
    else:
        assert fedtrial.experiment(settings) == from_words(words)


def test_words_arrive_as_they_are() -> None:
    odd = '\\ it\'s "null", [a=1] {é}\\'
    assert fedtrial.experiment({"cohort": "tabular", "cohort.path": "x.csv", "cohort.label": odd}).cohort.label == odd
    assert fedtrial.experiment({"cohort": "tabular", "cohort.path": "x", "cohort.label": "null"}).cohort.label == "null"


@pytest.mark.parametrize(
    ("settings", "keywords", "says"),
    [
        ({}, {"algorithm": "fedporx"}, "Did you mean algorithm=fedprox"),
        ({}, {"local": {"lrr": 1}}, "Did you mean local.lr"),
        ({"local.lr": "fast"}, {}, "local.lr=fast: allowed a number"),
        ({"rounds": 2}, {"rounds": 3}, "rounds: given twice"),
        ({}, {"rounds": range(3)}, "fedtrial.sweep"),
        ({}, {"uplink": FedProx}, "cannot be the value of a setting"),
        ({"algorithm.mu": 1}, {"algorithm": FedProx(mu=0.2)}, "algorithm.mu: algorithm is already an object"),
        ({}, {"algorithm": {"_target_": "os.system"}}, "_target_"),
        ({"results.dir": "x"}, {}, "dir=FOLDER"),
        ({}, {"hydra": {"sweeper": 1}}, "Hydra's own"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(fedtrial.Refused) as found:
        fedtrial.experiment(settings, **keywords)
    assert says in str(found.value)


def test_a_run_in_memory_is_the_run_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = fedtrial.experiment(TINY, algorithm=FedProx(mu=0.2))
    run = fedtrial.run(wanted)
    assert run.id == run_id(from_words([*SMALL, "algorithm=fedprox", "algorithm.mu=0.2"]))
    assert not list(tmp_path.iterdir())
    kept = fedtrial.run(wanted, "kept")
    assert kept.home == Path("kept") / run.id
    assert kept.sites["value"].equals(run.sites["value"])
    assert {name: part.tolist() for name, part in kept.model.items()} == {
        name: part.tolist() for name, part in run.model.items()
    }
    assert repr(run).startswith(f"Run {run.id}: fedprox, 7 sites, done; accuracy 0.")


def test_a_sweep_has_a_row_for_every_cell_and_says_how_it_ended(tmp_path: Path) -> None:
    over = {"algorithm": ["fedavg", {"is": "fedprox", "mu": 0.2}], "local.lr": [0.1, 1e30]}
    table = fedtrial.sweep(TINY, over=over, net="mlp")
    assert table["algorithm"].tolist() == ["fedavg", "fedavg", *["{'is': 'fedprox', 'mu': 0.2}"] * 2]
    assert [status.split(" in round")[0] for status in table["status"]] == ["done", "diverged"] * 2
    assert table["run"].nunique() == 4
    assert table["auroc"].iloc[0] != table["auroc"].iloc[2]
    kept = fedtrial.sweep(TINY, over=over, net="mlp", dir=tmp_path)
    pd.testing.assert_frame_equal(kept, table)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"over": {"seed": [0, -1]}}, "seed=-1: allowed >= 0"),
        ({"over": {"seed": [0, 1]}, "workers": 2}, "dir=FOLDER"),
        ({"over": {"seed": []}}, "no values"),
        ({"over": {"system.sites": [2, 9]}}, "system.sites=9: "),
        ({"over": {"algorithm": "fedavg"}}, "allowed a list of values for every key"),
        ({"over": {"seed": 5}}, "allowed a list of values for every key"),
        ({"over": ["seed"]}, "allowed a list of values for every key"),
        ({"over": {"seed": [0, 1]}, "workers": "2", "dir": "never"}, "workers='2': allowed a whole number"),
    ],
)
def test_a_wrong_sweep_is_refused_before_it_begins(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(fedtrial.Refused, match=says):
        fedtrial.sweep(TINY, **wrong)


def test_arrays_are_part_of_the_name_of_a_run() -> None:
    given = arrays()
    first = run_id(fedtrial.experiment(cohort=fedtrial.cohort(**given)))
    assert run_id(fedtrial.experiment(cohort=fedtrial.cohort(**given))) == first
    moved = given["X"].copy()
    moved[7, 1] += 1e-9
    assert run_id(fedtrial.experiment(cohort=fedtrial.cohort(**given | {"X": moved}))) != first
    turned = {name: value[::-1] for name, value in given.items()}
    assert run_id(fedtrial.experiment(cohort=fedtrial.cohort(**turned))) != first


def test_arrays_are_the_cohort_of_the_same_table() -> None:
    """The run of a toy cohort and of its columns as arrays have the same numbers."""
    whole = toy(120)
    frame = whole.table[list(whole.predictors["sick"])]
    mine = fedtrial.cohort(frame, whole.table["sick"], site=whole.table["site"], patient=whole.table["patient"])
    assert mine.load(0).predictors["label"] == whole.predictors["sick"]
    np.testing.assert_array_equal(mine.load(0).events("label"), whole.events("sick"))
    assert repr(mine) == "cohort 'arrays': 120 patients in 120 rows, 3 sites, 3 predictors, outcome 'label'"
    run = fedtrial.run(fedtrial.experiment(cohort=mine, rounds=2))
    assert sum(side["rows"] for site in run.info["sites"].values() for side in site.values()) == 120


@pytest.mark.parametrize(
    ("y", "kind", "task"),
    [
        ([True, False] * 30, "", "classify"),
        ([0, 1] * 30, "", "classify"),
        ([1.0, 0.0, np.nan] * 20, "", "classify"),
        (["x", "y", "z"] * 20, "", "multiclass"),
        (pd.Categorical(["low", "high", None] * 20), "", "multiclass"),
        ([0.5, 1.5, 2.5] * 20, "", "regress"),
        ([0, 1, 5] * 20, "count", "poisson"),
        ([1, 2, 3] * 20, "classes", "multiclass"),
    ],
)
def test_the_task_follows_from_the_outcome(y: Any, kind: str, task: str) -> None:
    wanted = fedtrial.experiment(cohort=fedtrial.cohort(**arrays(y=y, kind=kind)), rounds=1)
    assert wanted.task == from_words([f"task={task}"]).task
    outcome: Outcome = next(iter(wanted.cohort.load(0).outcomes.values()))
    assert wanted.task.choose(wanted.cohort.load(0)) in wanted.cohort.load(0).outcomes, outcome


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "one feature": ({"X": np.zeros(ROWS)}, "X[:, None]"),
    "another length": ({"site": ["a", "b"]}, "site has shape (2,)"),
    "no outcome": ({"y": None}, "give y, or both time and event"),
    "a time alone": ({"y": None, "time": np.ones(ROWS)}, "both time and event"),
    "two outcomes": ({"time": np.ones(ROWS)}, "Leave one out"),
    "an event of three": ({"y": None, "time": np.ones(ROWS), "event": [0, 1, 2] * 20}, "event: allowed true and false"),
    "a time in words": ({"y": None, "time": ["long"] * ROWS, "event": [0, 1] * 30}, "time: allowed numbers"),
    "a label of three": ({"y": [0, 1, 2] * 20, "kind": "label"}, "kind='classes'"),
    "a kind": ({"kind": "labels"}, "Did you mean 'label'"),
    "no site": ({"site": [None, *"a" * (ROWS - 1)]}, "site: row 0 has none"),
    "a column of ours": ({"X": pd.DataFrame({"site": np.zeros(ROWS)})}, "Rename it"),
    "a patient at two sites": ({"patient": ["p"] * ROWS}, "is at sites 'a', 'b', 'c'"),
    "a column": ({"y": np.ones((ROWS, 1))}, "y has shape (60, 1)"),
    "a set": ({"y": {0, 1}}, "y: cannot be read as a column"),
    "lists": ({"y": [[1]] * ROWS}, "y: allowed numbers"),
    "days as durations": (
        {"y": None, "time": pd.to_timedelta(np.arange(1, 61), unit="D"), "event": [0, 1] * 30},
        "divide by pd.Timedelta(days=1)",
    ),
    "a date for an outcome": ({"y": pd.date_range("2020-01-01", periods=ROWS)}, "y: allowed numbers"),
    "a date for a predictor": ({"X": pd.DataFrame({"d": pd.date_range("2020-01-01", periods=ROWS)})}, "X, column 'd'"),
    "complex numbers": ({"X": np.ones((ROWS, 2)) + 1j}, "X, column 'x0': allowed numbers"),
    "numbers in words": ({"X": np.ones((ROWS, 2)).astype(str)}, "X: an array of words"),
    "numbers and words": ({"X": pd.DataFrame({"d": ["x", 2.0] * 30})}, "X, column 'd': allowed numbers"),
    "a masked event": (
        {"y": None, "time": np.ones(ROWS), "event": np.ma.masked_array([0, 1] * 30, [True] + [False] * 59)},
        "event: allowed true and false",
    ),
    "a masked site": (
        {"site": np.ma.masked_array(["a", "b", "c"] * 20, [True] + [False] * 59)},
        "site: row 0 has none",
    ),
    "a site without letters": ({"site": ["a", "", "c"] * 20}, "site: row 1 has none"),
    "bytes": ({"site": np.array(["a", "b", "c"] * 20, "S")}, "Decode them"),
    "a split": ({"split": ["training"] * ROWS}, "allowed train, valid, test"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays_are_refused(case: str) -> None:
    other, says = WRONG[case]
    with pytest.raises(fedtrial.Refused) as found:
        fedtrial.cohort(**arrays(**other))
    assert says in str(found.value)


@pytest.mark.parametrize(
    "same",
    [
        lambda x: x.astype(object),
        lambda x: np.asfortranarray(x).astype(np.longdouble),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x.tolist(),
        lambda x: pd.DataFrame(x, columns=["x0", "x1", "x2"], index=np.zeros(len(x)), dtype=object),
        lambda x: np.ma.masked_array(x),
    ],
    ids=["objects", "long", "strided", "lists", "frame of objects", "masked nowhere"],
)
def test_the_same_numbers_are_the_same_run(same: Callable[[Any], Any]) -> None:
    """However a program holds them: numbers that stand in objects are no words."""
    given = arrays()
    first = fedtrial.cohort(**given).load(0)
    again = fedtrial.cohort(**given | {"X": same(given["X"])}).load(0)
    assert again.digest == first.digest


def test_a_masked_cell_is_a_gap() -> None:
    given = arrays()
    hidden = np.zeros((ROWS, 3), dtype=bool)
    hidden[5:9, 0] = True
    masked = fedtrial.cohort(**given | {"X": np.ma.masked_array(given["X"], hidden)}).load(0)
    gaps = fedtrial.cohort(**given | {"X": np.where(hidden, np.nan, given["X"])}).load(0)
    assert masked.digest == gaps.digest


def test_threads_compose_at_once() -> None:
    """Hydra's state is one for the whole process."""
    rates = [0.1, 0.2, 0.3, 0.4]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda lr: fedtrial.experiment({"local.lr": lr}).local.lr, rates)) == rates


@pytest.mark.parametrize("dir", ["", b"x", 3, True])
def test_a_folder_that_is_no_path_is_refused(dir: Any) -> None:
    with pytest.raises(fedtrial.Refused, match="dir=.*allowed the path of a folder"):
        fedtrial.run(fedtrial.experiment(TINY), dir)


def test_what_is_no_experiment_is_refused() -> None:
    with pytest.raises(fedtrial.Refused, match="allowed what fedtrial.experiment"):
        fedtrial.run(TINY)  # type: ignore[arg-type]


def test_hydra_of_the_program_around_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("depth: 3\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        fedtrial.experiment(rounds=2)
        assert compose("config").depth == 3
    assert not GlobalHydra.instance().is_initialized()
