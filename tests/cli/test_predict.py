"""`fedtrial predict` as a user meets it: files in, predictions out, and refusals with exit code 2."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from sim.cli.main import main
from sim.config.compose import experiment
from sim.records.store import write
from sim.run.run import prepare, rehearse

WORDS = ["cohort.patients=300", "cohort.sites=3", "rounds=2", "seed=3"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(rehearse(experiment(WORDS)), tmp_path_factory.mktemp("runs"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    table = prepare(experiment(WORDS)).cohort.table.head(40)
    table.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def fedtrial(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fedtrial", "predict", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_predictions_of_a_file(
    home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fedtrial(monkeypatch, home, rows) == 0
    assert "--out FILE writes all" in capsys.readouterr().out
    table, beside = pd.read_csv(rows), rows.parent
    table.to_parquet(beside / "new.parquet")
    table.to_csv(beside / "new.txt", index=False, sep="\t")
    for name, more in (("new.csv", ()), ("new.parquet", ()), ("new.txt", ("--separator", "\\t"))):
        out = beside / "made" / f"of-{name}.csv"
        assert fedtrial(monkeypatch, home, beside / name, "--out", out, *more) == 0
        made = pd.read_csv(out)
        assert list(made) == ["patient", "site", "probability"]
        assert made["patient"].tolist() == table["patient"].tolist()
        assert made["probability"].between(0, 1).all()
        assert list(out.parent.iterdir()) == [out]
        assert fedtrial(monkeypatch, home, beside / name, "--out", out, *more) == 2  # it is there already
        assert fedtrial(monkeypatch, home, beside / name, "--out", out, "--overwrite", *more) == 0
        again = pd.read_csv(out)
        pd.testing.assert_frame_equal(again, made)
        out.unlink()
    assert fedtrial(monkeypatch, home, rows, "--out", beside / "made.parquet", "--model", "best") == 0
    assert len(pd.read_parquet(beside / "made.parquet")) == len(table)


REFUSED = {
    "the answer of an analysis": (["{beside}/answer.json", "{rows}"], "scores no single one. Take a run that does"),
    "the folder of a study": (["{beside}/study", "{rows}"], "the folder of a study. Name one of its runs"),
    "a folder that is no run": (["{beside}", "{rows}"], "not a finished run"),
    "a file that is not there": (["{home}", "{beside}/nwe.csv"], "no such file. Did you mean 'new.csv'"),
    "an end that is no format": (["{home}", "{rows}", "--out", "{beside}/a.xlsx"], ".parquet or .csv"),
    "another model": (["{home}", "{rows}", "--model", "last"], "--model='last': allowed best, final"),
    "another site": (["{home}", "{rows}", "--site", "north"], "--site='north': allowed centre-1"),
    "another separator": (["{home}", "{rows}", "--separator", "x"], "--separator 'x'"),
    "no such column": (["{home}", "{beside}/lost.csv"], "no column 'age_years'"),
    "no number": (["{home}", "{beside}/word.csv"], "word.csv, line 6, column 'age_years': 'old'; allowed a finite"),
    "no such level": (["{home}", "{beside}/level.parquet"], "level.parquet, row 4, column 'race': 'martian'"),
    "no table": (["{home}", "{beside}/not.parquet"], "not.parquet: not readable as Parquet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_told_in_words(
    case: str, home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beside, table = rows.parent, pd.read_csv(rows).astype(object)
    table.drop(columns="age_years").to_csv(beside / "lost.csv", index=False)
    (beside / "answer.json").write_text("{}")
    (beside / "study").mkdir()
    (beside / "study" / "study.json").write_text("{}")
    table.assign(age_years=[*table["age_years"][:4], "old", *table["age_years"][5:]]).to_csv(
        beside / "word.csv", index=False
    )
    table.assign(race=[*table["race"][:4], "martian", *table["race"][5:]]).to_parquet(beside / "level.parquet")
    (beside / "not.parquet").write_text("no")
    words, told = REFUSED[case]
    given = [word.format(beside=beside, home=home, rows=rows) for word in words]
    before = sorted(beside.iterdir())
    assert fedtrial(monkeypatch, *given) == 2
    error = capsys.readouterr().err
    assert error.startswith("Refused: ")
    assert told in error
    assert sorted(beside.iterdir()) == before


def test_a_word_for_a_gap_can_be_named(home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.read_csv(rows)
    assert table["score_z"].isna().any()
    file = rows.parent / "marked.csv"
    table.to_csv(file, index=False, na_rep="?")
    assert fedtrial(monkeypatch, home, file) == 2
    assert fedtrial(monkeypatch, home, file, "--missing", "?") == 0


def test_a_new_file_is_read_as_the_table_of_the_run_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Comment lines, a title, semicolons, decimal commas and days: no option says so."""
    rows = [f"{'AB'[i % 2]};{i % 7},5;201{i % 10}-03-01;{'?' if i % 9 == 0 else i};{i // 2 % 2}" for i in range(80)]
    text = "\n".join(["A title", "# from the registry", "site;x;seen;z;sick", *rows]) + "\n"
    (tmp_path / "a.csv").write_text(text)
    words = ["cohort=tabular", f"cohort.path={tmp_path}/a.csv", "cohort.site=site", "cohort.label=sick"]
    words += ["cohort.separator=';'", "cohort.comment='#'", "cohort.skip=1", "cohort.decimal=','"]
    words += ["cohort.dates=[seen]", "cohort.missing_marks=['?']", "task=classify", "partition=natural", "rounds=2"]
    made = rehearse(experiment([*words, "evaluation.predictions=last"]))
    home, out = write(made, tmp_path / "runs"), tmp_path / "out.csv"
    assert fedtrial(monkeypatch, home, tmp_path / "a.csv", "--out", out) == 0
    assert made.predictions is not None
    scores = pd.read_csv(out)["probability"]
    assert set(made.predictions.numbers["probability"].round(6)) <= set(scores.round(6))
    plain = tmp_path / "plain.csv"
    plain.write_text("site,x,seen,z\n" + "".join(f"A,{i % 7}.5,201{i % 10}-03-01,{i}\n" for i in range(1, 9)))
    options = ("--separator", ",", "--comment", "", "--skip", 0, "--decimal", ".", "--out", out, "--overwrite")
    assert fedtrial(monkeypatch, home, plain, *options) == 0
    assert pd.read_csv(out)["probability"].round(6).tolist() == scores[1:9].round(6).tolist()
    capsys.readouterr()
    assert fedtrial(monkeypatch, home, plain, "--separator", ",", "--decimal", ",") == 2
    assert "--decimal ',': allowed . or ," in capsys.readouterr().err
    (tmp_path / "a.csv").write_text(text.replace("2013-03-01", "March"))
    assert fedtrial(monkeypatch, home, tmp_path / "a.csv") == 2
    assert "line 7, column 'seen': 'March'" in capsys.readouterr().err
