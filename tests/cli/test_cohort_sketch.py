"""`fedtrial cohort sketch`: what it guesses from a table, and that the command it prints runs."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from sim.cli.main import main
from sim.cohort.tabular.sketch import sketch
from sim.config.compose import experiment

NAMES = "PATIENT_ID\tCENTRE\tAGE\tSEX\tENTRY\tSTAGE_TEXT\tOS_MONTHS\tOS_STATUS\n"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A clinical file as cBioPortal publishes it: comment lines, tabs, words, a time of 0, a row without an outcome."""
    rng = np.random.Generator(np.random.PCG64(3))
    lines = ["#Patient\n#Who\n#STRING\n#1\n", NAMES]
    for row in range(60):
        status = "1:DECEASED" if row % 3 == 0 else "0:LIVING"
        cells = [
            f"X{row:03d}",
            "ab"[row % 2],
            f"{rng.uniform(40, 80):.1f}",
            "FM"[row % 5 > 2],
            f"2015-01-{row % 28 + 1:02d}",
        ]
        cells += [f"as written by {row}", f"{rng.uniform(1, 60) * (row > 0):.2f}", status]
        lines.append("\t".join(cells) + "\n")
    lines.append("X900\t\t50\tF\t2015-02-01\tnone\t\t\n")
    path = tmp_path / "clinical.txt"
    path.write_text("".join(lines))
    return path


def test_a_clinical_file_of_a_portal_is_sketched(registry: Path) -> None:
    made = sketch(registry)
    assert made.settings == {
        "path": str(registry),
        "separator": "\t",
        "comment": "#",
        "patient": "PATIENT_ID",
        "site": "CENTRE",
        "time": "OS_MONTHS",
        "event": "OS_STATUS",
        "happened": "== 1:DECEASED",
        "unit": "months",
        "zero_time": "half_day",
        "unlabelled": "drop",
        "categorical": ["SEX"],
        "dates": ["ENTRY"],
        "drop": ["STAGE_TEXT"],
    }


def test_the_printed_command_and_the_preset_load_the_table(
    registry: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = registry.parent / "mine.yaml"
    monkeypatch.setattr(sys, "argv", ["fedtrial", "cohort", "sketch", str(registry), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if line.startswith("Try it: "))
    wanted = experiment(shlex.split(line.removeprefix("Try it: fedtrial run ")))
    cohort = wanted.cohort.load(0)
    assert len(cohort.table) == 60
    assert cohort.predictors["survival"] == ("AGE", "SEX", "ENTRY")
    settings = yaml.safe_load(out.read_text())
    assert settings.pop("defaults") == ["tabular", "_self_"]
    assert settings == sketch(registry).settings
    monkeypatch.setattr(sys, "argv", ["fedtrial", "cohort", "sketch", str(registry), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2  # it is there already


def test_commas_titles_and_row_names_are_sketched(tmp_path: Path) -> None:
    rows = "".join(f"{row};n;{row % 7},5;{row % 2}\n{row + 20};s;{row % 5},25;1\n" for row in range(20))
    (tmp_path / "a.csv").write_text("Extract of March;;;\n;hospital;size;response\n" + rows)
    made = sketch(tmp_path / "a.csv").settings
    wanted = {"separator": ";", "skip": 1, "decimal": ",", "site": "hospital", "label": "response"}
    assert wanted.items() <= made.items()
    assert made["drop"] == ["row_names"]
