"""Import of Synthea's CSV: refusals name lines, days after the export are errors, one odd patient stops nothing."""

import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.checks import Refused
from sim.cli.main import app
from sim.intake.assemble import assemble
from sim.intake.export import Export
from sim.intake.lines import Place, line_of
from sim.intake.options import FollowUp
from sim.intake.rules import Rules
from sim.intake.synthea_csv import read
from tests.toy import DATA


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """The export of 2020 with a text of one table replaced, once."""
    shutil.copytree(DATA / "synthea_2020", folder)
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    return folder


def table_of(folder: Path, rules: Rules) -> set[str]:
    return set(assemble(read(Export(folder), rules, lambda done: None), FollowUp.export).table["patient_id"])


def test_lines_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('A,B\n1,"two\nlines"\n\n2,"a ""quote"" and\n\nthree"\n3,\n')
    assert [line_of(path, row) for row in range(1, 5)] == [1, 2, 5, 8]
    assert str(Place(path, 4, "B")) == f"{path}, line 8, column B"


def test_a_cell_after_line_breaks_is_named_by_its_line(tmp_path: Path) -> None:
    folder = changed(tmp_path / "x", "observations.csv", "Stage 4 (qualifier value)", "Stage purple")
    path = folder / "observations.csv"
    first, rest = path.read_text().split("\n", 1)
    head, row, more = rest.split("\n", 2)
    path.write_text("\n".join([first, head, "", row.replace(",Body Mass Index,", ',"Body\nMass\nIndex",'), more]))
    line = path.read_text().split("Stage purple")[0].count("\n") + 1
    with pytest.raises(Refused, match=rf"observations.csv, line {line}, column VALUE: 'Stage purple'"):
        table_of(folder, Rules())


def test_a_visit_after_the_export_is_refused_or_left_out(tmp_path: Path) -> None:
    folder = changed(tmp_path / "x", "encounters.csv", "2022-12-31", "2099-12-31")
    with pytest.raises(Refused, match=r"encounters.csv, line \d+, column START: '2099-12-31.*--until.*--unknown skip"):
        table_of(folder, Rules())
    skipped: Counter[str] = Counter()
    reading = read(Export(folder), Rules(skipped), lambda done: None)
    assert reading.charts.end < date(2022, 12, 31).toordinal()
    assert dict(skipped) == {"START of encounters.csv: days after the export's end": 1}


def test_the_end_of_the_export_may_be_named(tmp_path: Path) -> None:
    words = ["cohort", "import", "synthea-csv", str(DATA / "synthea_2020"), "--out", str(tmp_path / "x.parquet")]
    done = CliRunner().invoke(app, [*words, "--until", "2016-01-01"])
    assert isinstance(done.exception, Refused)
    assert "is after 2016-01-01, the last day of the export" in str(done.exception)
    done = CliRunner().invoke(app, [*words, "--until", "soon"])
    assert "--until 'soon': allowed a day such as 2019-05-31" in str(done.exception)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("patients.csv", "1948-07-15", "", "patients without BIRTHDATE"),
        ("patients.csv", "1948-07-15", "15.7.48", "BIRTHDATE of patients.csv: no day"),
        ("patients.csv", "2013-03-01", "2099-03-01", "DEATHDATE of patients.csv: days after the export's end"),
        ("patients.csv", "2013-03-01", "2011-03-01", "patients who died before the diagnosis"),
        ("patients.csv", "1948-07-15", "2013-01-01", "patients diagnosed before their birth"),
        ("patients.csv", "p02,", "p92,", "diagnoses of patients without a record"),
        ("conditions.csv", "2012-01-15,,p02", ",,p02", "diagnoses without a day"),
        ("conditions.csv", "2012-01-15,,p02", "15/01/2012,,p02", "START of conditions.csv: no day"),
    ],
)
def test_one_odd_patient_stops_nothing(name: str, old: str, new: str, reason: str, tmp_path: Path) -> None:
    folder = changed(tmp_path / "x", name, old, new)
    with pytest.raises(Refused, match="--unknown skip"):
        table_of(folder, Rules())
    skipped: Counter[str] = Counter()
    whole = table_of(DATA / "synthea_2020", Rules())
    assert table_of(folder, Rules(skipped)) == whole - {"p02"}
    assert set(skipped) == {reason}


def test_without_observations_and_procedures_drugs_are_kept(tmp_path: Path) -> None:
    """What tells whether Synthea cut the history is absent, so the reason does not say that it did."""
    shutil.copytree(DATA / "synthea_2020", tmp_path / "x")
    for name in ("observations", "procedures"):
        (tmp_path / f"x/{name}.csv").unlink()
    made = assemble(read(Export(tmp_path / "x"), Rules(), lambda done: None), FollowUp.export)
    rows = made.table.set_index(["patient_id", "cancer_type"])
    assert bool(rows.loc[("p02", "breast"), "tx_chemo"])
    assert rows.loc[("p01", "breast"), "tx_hormone_days"] == 114
    reasons = " ".join(reason for counts in made.gaps.values() for reason in counts)
    assert "before the records begin" not in reasons
    assert made.truncated == 0
