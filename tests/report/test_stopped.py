"""A study of which early stopping ended some runs says so, and draws where."""

from dataclasses import replace
from pathlib import Path

from sim.report.page import write_report
from tests.report.known_study import study


def test_the_page_says_which_runs_stopped_and_how_its_curves_show_it(tmp_path: Path) -> None:
    records = study()
    short = replace(
        records,
        sites=records.sites[~(records.sites["run"].str.startswith("FedAvg") & (records.sites["round"] > 2))],
        rounds=records.rounds[~(records.rounds["run"].str.startswith("FedAvg") & (records.rounds["round"] > 2))],
        stopped={"FedAvg-0": 2, "FedAvg-1": 2, "FedAvg-2": 2},
    )
    text = write_report(short, tmp_path / "short").read_text()
    assert text.count("stopped after round 2") == 3
    assert "keep their last value in all later rounds" in text
    whole = write_report(records, tmp_path / "whole").read_text()
    assert "stopped after" not in whole
    assert "keep their last value" not in whole
