"""Sweeps as a user meets them: the launcher's settings, cells that fail, and what is listed of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobStatus

from sim.checks import Refused
from sim.cli.main import main
from sim.cli.run import launch
from sim.config.compose import cells, experiment
from sim.config.launcher import launcher
from sim.config.many import experiments
from sim.config.words import without_launcher
from sim.records.unfinished import CHANGED, State, status

TINY = ["cohort.patients=300", "rounds=1", "seed=3"]
BREAKS = ["-m", *TINY, "algorithm=pooled", "algorithm.iterations=1", "algorithm.tolerance=1e-30,1e-5,1e-4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fedtrial(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["fedtrial", *words])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out + told.err


def test_on_error_stop_begins_no_other_cell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first cell has no model with so small a gradient. What was not begun is a row, and the exit code says so."""
    assert launch([*BREAKS, "hydra.launcher.on_error=stop"]) == 1
    told = capsys.readouterr().out
    assert "Cell 1 of 3 (algorithm.tolerance=1e-30): failed. The pooled model did not converge" in told
    assert "computed" not in told
    assert told.count("│ not begun") == 2
    assert not list(here.glob("results/runs/*/DONE"))
    assert launch([*BREAKS, "hydra.launcher.on_error=continue"]) == 1
    assert capsys.readouterr().out.count(": computed. ") == 2


def test_failed_cells_are_listed_shown_and_tried_again(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch(BREAKS) == 1
    capsys.readouterr()
    runs = here / "results" / "runs"
    code, told = fedtrial(capsys, monkeypatch, "runs", str(runs), "--json")
    listed = json.loads(told)
    assert code == 0
    assert [one["state"] for one in listed] == ["failed", "done", "done"]
    assert [one["labels"]["settings"] for one in listed] == [
        f"algorithm.tolerance={value}" for value in ("1e-30", "1e-05", "0.0001")
    ]
    assert listed[1]["metrics"]["auroc"] > 0
    failed = listed[0]["run"]
    assert status(runs, failed).state is State.FAILED
    code, told = fedtrial(capsys, monkeypatch, "show", str(runs / failed))
    assert code == 0
    assert "failed" in told
    assert "The pooled model did not converge" in told
    assert f"fedtrial resume results/runs/{failed}.unfinished" in told.replace(f"{here}/", "").replace("\n", "")
    code, told = fedtrial(capsys, monkeypatch, "resume", f"results/runs/{failed}.unfinished")
    assert code == 1
    assert "Cell 1 of 3 (algorithm.tolerance=1e-30): failed" in told
    assert told.count(": read. ") == 2
    assert status(runs, failed).attempt == 2
    code, told = fedtrial(capsys, monkeypatch, "diff", *(str(runs / one["run"]) for one in listed[1:]))
    assert code == 0
    assert "algorithm.tolerance" in told
    assert "Code, data and machine that differ: none." in told
    code, told = fedtrial(capsys, monkeypatch, "diff", str(runs / listed[1]["run"]), str(runs / failed))
    assert code == 2
    assert "not a finished run" in told
    code, told = fedtrial(capsys, monkeypatch, "show", str(runs / listed[1]["run"]), "--json")
    whole = json.loads(told)
    assert (whole["state"], whole["info"]["run"]) == ("done", listed[1]["run"])
    assert {"DONE", "run.json", "sites.parquet"} <= set(whole["files"])


def test_a_run_has_one_folder(here: Path) -> None:
    with pytest.raises(
        Refused, match=r"Cell 1 of 2 .*results.dir=a.* and Cell 2 of 2 .*one and the same run, for a and"
    ):
        launch(["-m", *TINY, "results.dir=a,b"])
    assert not list(here.iterdir())


def test_a_sweep_over_several_folders_goes_on_in_these(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each folder tells of its own runs alone; whichever is named, no run moves to another."""
    words = [*BREAKS[:-1], "algorithm.tolerance=1e-30", "seed=3,4", "results.dir=out${seed}"]
    words.remove("seed=3")
    assert launch(words) == 1
    for name in ("out3", "out4"):
        capsys.readouterr()
        listed = json.loads(fedtrial(capsys, monkeypatch, "runs", name, "--json")[1])
        assert [(one["state"], one["labels"]["settings"]) for one in listed] == [("failed", f"seed={name[-1]}")]
    before = sorted(str(path) for path in here.glob("out*/*"))
    assert fedtrial(capsys, monkeypatch, "resume", "out3")[0] == 1
    assert sorted(str(path) for path in here.glob("out*/*")) == before
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    code, told = fedtrial(capsys, monkeypatch, "resume", "../out3")
    assert code == 2
    assert "Go on from the folder in which the command was given" in told
    assert not list((here / "elsewhere").iterdir())


def test_runs_of_a_folder_without_a_sweep_show_the_settings_that_differ(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch(["-m", *TINY, "local.lr=0.1,0.2"]) == 0
    assert not list(here.glob("results/runs/begun-*"))
    capsys.readouterr()
    code, told = fedtrial(capsys, monkeypatch, "runs", "results/runs")
    assert code == 0
    assert "│ local.lr=0.1 │ done" in told
    assert "2 runs: 2 done." in told
    for words, said in (
        (["runs", "nowhere"], "nowhere: no such folder"),
        (["runs", "."], "no runs in it"),
        (["show", "results/runs/0123456789ab"], "0123456789ab: no run. Name a run's folder"),
        (["resume", "results/runs"], "nothing in it is unfinished"),
    ):
        code, told = fedtrial(capsys, monkeypatch, *words)
        assert code == 2
        assert said in told


def test_a_run_whose_files_changed_and_one_of_which_nothing_is_known_are_told_as_such(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "0123456789ab").mkdir()
    listed = json.loads(fedtrial(capsys, monkeypatch, "runs", ".", "--json")[1])
    assert [(one["state"], one["why"]) for one in listed] == [("pending", CHANGED)]
    code, told = fedtrial(capsys, monkeypatch, "show", "0123456789ab")
    assert code == 2
    assert "the files of this run changed after it was written. Give its command again" in told
    (here / "ba9876543210.unfinished").mkdir()
    code, told = fedtrial(capsys, monkeypatch, "show", "ba9876543210")
    assert code == 0
    assert "Run ba9876543210: pending.\nTo continue: give the command that began it again." in told


def test_hydra_makes_the_launcher(here: Path) -> None:
    """It is the default; its ends are Hydra's, with a reason where there is no run."""
    words = [word for word in BREAKS if word != "-m"]
    made: Any = launcher(["hydra.launcher.workers=1", "hydra.launcher.retries=5"], words)
    assert type(made).__name__ == "FedtrialLauncher"  # Hydra loads its plugins by itself, so the class is not that of
    assert type(made).__module__ == "hydra_plugins.fedtrial_launcher"  # an import
    assert made.settings == (1, "continue", 5)
    assert list(made.words) == words
    ended = made.launch(cells(words), 0)
    assert [one.status for one in ended] == [JobStatus.FAILED, JobStatus.COMPLETED, JobStatus.COMPLETED]
    assert ended[1].return_value == "done"
    with pytest.raises(RuntimeError, match="did not converge"):
        _ = ended[0].return_value
    basic: Any = launcher(["hydra/launcher=basic"], [])
    assert basic.settings[0] == 1


WRONG = {
    "another launcher": (["hydra/launcher=joblib"], ["hydra/launcher='joblib'", "basic, fedtrial"]),
    "its class": (["hydra.launcher._target_=os.system"], ["_target_", "not allowed"]),
    "another key": (["hydra.launcher.n_jobs=3"], ["hydra.launcher.n_jobs=3", "Hydra's own"]),
    "an added one": (["+hydra.launcher.workers=3"], ["Hydra's own"]),
    "a sweeper": (["hydra/sweeper=basic"], ["Hydra's own"]),
    "no number": (["hydra.launcher.workers=many"], ["hydra.launcher.workers=many", "a whole number"]),
    "several": (["hydra.launcher.workers=1,2"], ["allowed one word or whole number"]),
    "an interpolation": (["hydra.launcher.on_error=${oc.env:HOME}"], ["allowed one word"]),
    "less than none": (["hydra.launcher.retries=-1"], ["allowed one word"]),
    "a word": (["hydra.launcher.on_error=ignore"], ["on_error='ignore'", "continue, stop"]),
    "settings of basic": (["hydra/launcher=basic", "hydra.launcher.workers=2"], ["basic launcher has no settings"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_only_the_launchers_own_settings_are_taken(case: str, here: Path) -> None:
    words, expected = WRONG[case]
    with pytest.raises(Refused) as refusal:
        launch(["-m", *TINY, *words])
    for part in expected:
        assert part in str(refusal.value)
    assert not list(here.iterdir())


def test_a_launcher_is_for_sweeps_alone(here: Path) -> None:
    with pytest.raises(Refused, match="Hydra's own"):
        launch([*TINY, "hydra.launcher.workers=2"])
    assert without_launcher(["rounds=1", "hydra/launcher=basic"]) == (["hydra/launcher=basic"], ["rounds=1"])


def test_experiments_of_many_cells_are_those_of_each() -> None:
    """Composed together or alone: seeds, plain values, entries of groups, and what follows the seed."""
    for words in (
        ["algorithm=fedavg,fedprox", "seed=range(3)", "local.lr=0.1,0.2", "weighting=patients,sites"],
        ["partition=dirichlet,iid", "cohort.consortium=${seed}", "seed=4,5"],
        ["uplink=[clip],[]", "rounds=1,2", "split.scaling=none,site"],
    ):
        chosen = cells(words)
        assert experiments(chosen) == [experiment(cell) for cell in chosen]


@pytest.mark.parametrize("word", ["local.lr=0.1,-1", "local.lrr=1,2", "seed=1,abc", "seed=1,-2", "rounds=1,1.5"])
def test_a_wrong_cell_is_refused_in_the_words_of_a_single_one(word: str) -> None:
    chosen = cells([word])
    with pytest.raises(Refused) as alone:
        experiment(chosen[1 if "lrr" not in word else 0])
    with pytest.raises(Refused) as together:
        experiments(chosen)
    assert str(together.value) == str(alone.value)
