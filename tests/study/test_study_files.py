"""Study files as people write them: labels are words, and what is wrong is told before the first run."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.cli.main import main
from sim.engine.references import REFERENCES, Pooled
from sim.study.cells import study_cells
from sim.study.results import read_study
from sim.study.study import Study, load

HEAD = "question: which\nmetric: auroc\nseeds: 1\n"
SMALL = "overrides: [cohort.patients=300, cohort.sites=3, rounds=1]\n"


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def fedtrial(*words: str) -> int:
    """Exit code of a command in this process."""
    sys.argv = ["fedtrial", *words]
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_labels_are_read_as_they_are_written(tmp_path: Path) -> None:
    """YAML 1.1 has `no` for false, `2` for a number, a date and `~` for none; a label is a word."""
    text = HEAD + SMALL + "scenarios: {2: [], 010: [], 1e3: []}\nmethods: {no: [], on: [], 2020-01-01: [], ~: []}\n"
    plan = load(written(tmp_path, text))
    assert list(plan.methods) == ["no", "on", "2020-01-01", "~"]
    assert list(plan.scenarios) == ["2", "010", "1e3"]


def test_a_study_with_such_labels_has_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, HEAD + SMALL + "scenarios: {2: []}\nmethods: {no: [algorithm=fedavg]}\n")
    assert fedtrial("study", path, "--workers", "1", "results.dir=out") == 0
    page = (tmp_path / "out" / "mine" / "index.html").read_text()
    assert ">no<" in page
    assert fedtrial("report", "out/mine") == 0


BOMB = HEAD + "methods: {A: []}\noverrides:\n  - &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"  - &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)  # fmt: skip

WRONG = {
    "a reference's label": (HEAD + SMALL + "methods: {Pooled: []}\n", ["'Pooled' is the name of a reference"]),
    "an empty label": (HEAD + SMALL + "methods: {'': []}\n", ["methods: '' is not a label"]),
    "a label for the terminal": (HEAD + SMALL + 'methods: {"\\e[31mred": []}\n', ["is not a label"]),
    "a label twice": (HEAD + SMALL + "methods: {A: [], A: []}\n", ["A", "not a study"]),
    "aliases of aliases": (BOMB, ["aliases expand to more than 100,000 values"]),
    "aliases of aliases as a question": (BOMB.replace("question: which", "q: 1"), ["aliases expand to more"]),
    "an alias of itself": (HEAD + "methods: &a {A: *a}\n", ["refers to itself"]),
    "deep brackets": (HEAD + "overrides: " + "[" * 5000 + "]" * 5000, ["too deep"]),
    "a question of another kind": ("question: [a]\n" + (HEAD + SMALL)[16:] + "methods: {A: []}\n", ["question: ['a']"]),
    "a margin that is no number": (HEAD + SMALL + "margin: .nan\nmethods: {A: []}\n", ["margin=nan"]),
    "a negative margin": (HEAD + SMALL + "margin: -1\nmethods: {A: []}\n", ["margin=-1"]),
    "endless seeds": (HEAD.replace("1", "999999999") + SMALL + "methods: {A: []}\n", ["seeds=999999999: allowed"]),
    "seeds of another kind": (HEAD.replace("1", "yes") + SMALL + "methods: {A: []}\n", ["seeds=True is not a whole"]),
    "a seed of a scenario": (HEAD + SMALL + "methods: {A: []}\nscenarios: {x: [seed=3]}\n", ["x: seed=3", "key seeds"]),
    "a seed of all": (HEAD + "overrides: [seed=3]\nmethods: {A: []}\n", ["overrides: seed=3", "key seeds"]),
    "a folder of a method": (HEAD + SMALL + "methods: {A: [results.dir=x]}\n", ["A: results.dir=x", "one folder"]),
    "a setting twice": (HEAD + SMALL + "methods: {A: [rounds=2, rounds=3]}\n", ["A: rounds=2 and rounds=3", "twice"]),
    "a seed that is tuned": (HEAD + SMALL + "methods: {A: []}\ntune: {seed: [1, 2]}\n", ["tune: seed="]),
    "published for nobody": (HEAD + SMALL + "methods: {A: []}\npublished: {B: 0.7}\n", ["published='B'"]),
    "a setting of Hydra's": (HEAD + "overrides: [hydra.run.dir=x]\nmethods: {A: []}\n", ["hydra.run.dir=x"]),
    "a key that is none": (HEAD + "overrides: [++local.lrr=5]\nmethods: {A: []}\n", ["local.lrr: no such setting"]),
    "a code": (HEAD + SMALL + "methods: {A: !!python/object/apply:os.system [x]}\n", ["not a study"]),
    "steps of another kind": (
        HEAD + SMALL + "methods: {A: []}\ndials: [{title: t, setting: cohort.tau, steps: [yes, no]}]\n",
        ["words in quotes"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_study_is_told_at_once(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]
    with pytest.raises(Refused) as refusal:
        study_cells(load(written(tmp_path, text)))
    assert len(str(refusal.value)) < 600
    for word in expected:
        assert word in str(refusal.value)


def test_a_name_that_is_a_folder_above_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="may not start with a dot"):
        load(written(tmp_path, HEAD + SMALL + "methods: {A: []}\n", "...yaml"))


def test_more_runs_than_anybody_waits_for_are_refused_with_the_arithmetic() -> None:
    labels = {f"m{number}": ["rounds=1"] for number in range(20)}
    with pytest.raises(Refused, match="seeds=10000 x 1 scenarios x 20 methods and 3 references = 230,000 runs"):
        study_cells(Study("mine", "?", "auroc", 10_000, [], labels))


def test_a_cell_that_only_training_can_break_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No model has a gradient of 1e-30: the pooled reference fails, and the page has the rest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(REFERENCES, "pooled", partial(Pooled, iterations=1, tolerance=1e-30))
    path = written(tmp_path, HEAD + SMALL + "methods: {FedAvg: []}\n")
    assert fedtrial("study", path, "--workers", "1", "results.dir=out") == 1
    told = capsys.readouterr().out
    assert "Pooled, seed 0: failed. The pooled model did not converge" in told
    folder = tmp_path / "out" / "mine"
    content = json.loads((folder / "study.json").read_text())
    assert list(content["failed"].values())[0].startswith("The pooled model did not converge")
    assert "3 of 4 are finished; Pooled, seed 0 failed" in read_study(folder).provenance["missing"]
    page = (folder / "index.html").read_text()
    top = page[: page.index("Methods compared")]
    assert "1 of 4 runs are not included in any mean" in top
    assert "1 of 1 (seed 0)" in top
    assert "failed: The pooled model did not converge" in top


def test_a_page_is_made_of_the_runs_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, HEAD.replace("1", "2") + SMALL + "methods: {FedAvg: [], Other: [local.lr=0.2]}\n")
    assert fedtrial("study", path, "--workers", "1", "results.dir=out") == 0
    folder = tmp_path / "out" / "mine"
    gone = next(run for run in json.loads((folder / "study.json").read_text())["runs"] if run["method"] == "Other")
    shutil.rmtree(folder / gone["run"])
    capsys.readouterr()
    assert fedtrial("report", "out/mine") == 0
    assert "Runs: 9 of 10 are finished; 1 not finished yet." in capsys.readouterr().out
    page = (folder / "index.html").read_text()
    assert "9 of 10 are finished" in page
    assert "not finished yet" in page[: page.index("Methods compared")]
    assert '<th scope="row">Other, 1 of 2 runs</th>' in page


@pytest.mark.parametrize("at", ["sim.cli.study.publish", "sim.report.publish.sync"])
def test_a_study_that_is_killed_before_its_page_is_whole_ends_as_if_it_had_not_been(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with study.json in place and the page still to come, or with files of the page in a draft."""
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, HEAD + SMALL + "methods: {FedAvg: []}\n")
    words = ["study", path, "--workers", "1"]

    module, _, name = at.rpartition(".")
    kill = f"import os, sys, {module} as at; at.{name} = lambda *rest: os._exit(9)"
    command = f"{kill}; from sim.cli.main import main; sys.argv = {['fedtrial', *words, 'results.dir=out']}; main()"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True).returncode == 9
    folder = tmp_path / "out" / "mine"
    assert (folder / "study.json").exists()
    assert not (folder / "index.html").exists()
    for draft in folder.glob(".report-*"):
        os.utime(draft, (0, 0))
    assert fedtrial(*words, "results.dir=out") == 0
    assert not list(folder.glob(".*"))
    shutil.move(tmp_path / "out", tmp_path / "first")
    for run in (tmp_path / "first" / "mine").glob("*/run.json"):  # the same runs, and a study that nobody killed
        shutil.copytree(run.parent, folder / run.parent.name)
    assert fedtrial(*words, "results.dir=out") == 0
    for name in ("index.html", "study.json", "summary.csv"):
        assert (folder / name).read_bytes() == (tmp_path / "first" / "mine" / name).read_bytes()
