"""`~` is the home folder wherever a path enters; no folder of that name is ever made."""

from pathlib import Path

import pytest

from sim.checks import Refused
from sim.cli.main import main
from sim.config.compose import experiment
from sim.files import expanded


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["fedtrial", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_results_go_to_the_home_folder(home: Path) -> None:
    assert experiment(['results.dir="~/runs"']).results.dir == f"{home}/runs"


def test_a_home_of_nobody_is_refused() -> None:
    with pytest.raises(Refused, match="no such user"):
        expanded("~nobody-of-this-name/x")


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["partition", "cohort.patients=600", "--figure=~/x.svg"], "x.svg"),
        (["verify", "--only=krum", "--json=~/deep/x.json"], "deep/x.json"),
        (["partition", "cohort.patients=600", 'results.dir="~/r"'], "r"),
    ],
)
def test_files_go_to_the_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], made: str) -> None:
    assert run(monkeypatch, *words) == 0
    assert (home / made).exists()
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "~/no-run", "~/no.csv", "--out=~/no-folder.txt"],
        ["report", "~/no-study"],
        ["study", "~/no-study.yaml"],
        ["cohort", "import", "fhir", "~/no-folder", "--out=~/x.parquet"],
    ],
)
def test_paths_that_are_read_are_named_in_full(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    assert str(home) in capsys.readouterr().err
    assert not list(Path.cwd().iterdir())
