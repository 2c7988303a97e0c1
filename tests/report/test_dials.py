"""The part of a page about dials: sentences, table and figures."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from sim.report import dial_figures, dial_words
from sim.report.page import write_report
from sim.report.tables import per_site, summary
from sim.study.dial import Dial
from sim.study.results import StudyRecords
from tests.report.known_study import study


def with_dial() -> StudyRecords:
    """A dial with two values; at the second FedAvg loses at two sites of three, and on average."""
    known = study(scenarios=("x=0", "x=1"))
    wild = known.runs.loc[(known.runs["scenario"] == "x=1") & (known.runs["method"] == "FedAvg"), "run"]
    sites = known.sites.copy()
    sites.loc[sites["run"].isin(wild) & sites["site"].isin(["A", "B"]), "value"] -= 0.2
    return replace(known, sites=sites, dials=[Dial("How wild", "x", [0, 1])])


def test_a_dial_is_reported_in_words_and_numbers() -> None:
    known = with_dial()
    table = summary(known)
    lead, said = dial_words.sentences(known.dials, table, per_site(known))
    assert lead == (
        "With FedAvg, by x: at 0, 1 of 3 sites lose, with 29% of the patients; "
        "at 1, 2 of 3 sites lose, with 86% of the patients."
    )
    assert "as x goes from 0 to 1, mean AUROC of FedAvg goes from 0.700 to 0.567" in said
    assert "lose by joining go from 1 to 2 of 3; from 1 on, sites do better alone on average" in said
    text = dial_words.text(known.dials, table).set_index("Setting")
    assert text.loc["x=0", "FedAvg, sites losing"] == "1 of 3 (1 significantly)"
    assert text.loc["x=1", "FedAvg, sites losing"] == "2 of 3 (2 significantly)"
    assert text.loc["x=1", "FedAvg, worst site"] == "0.500"


def test_figures_of_dials_are_the_same_bytes_and_hold_every_dial(tmp_path: Path) -> None:
    known = with_dial()
    for name in ("one", "two"):
        write_report(known, tmp_path / name)
    for name in ("dials", "losers-0", "losers-1"):
        drawn = [(tmp_path / folder / "figures" / f"{name}.svg").read_bytes() for folder in ("one", "two")]
        assert drawn[0] == drawn[1]
        ElementTree.fromstring(drawn[0])


def test_sites_too_many_to_be_shown_leave_the_figure_of_losers_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial_figures, "MAX_SITES", 2)
    write_report(with_dial(), tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["dials.svg"]
