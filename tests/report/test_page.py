"""The page of a study: one file that is complete, safe and reproducible."""

import errno
import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from sim.checks import Refused
from sim.records.store import together
from sim.report.lost_runs import lost_runs
from sim.report.page import csv, write_report
from sim.report.settings_diff import differing
from sim.report.tables import print_summary, summary
from sim.study.results import ABSENT, StudyRecords
from tests.report.known_study import study


@pytest.mark.parametrize(
    "records",
    [
        study(seeds=(0,)),
        study(references=()),
        study(references=("pooled",), methods=("FedAvg",)),
        study(methods=("FedProx",), seeds=(2,)),  # nothing finished
        study(methods=()),
        study(scenarios=("mild", "severe")),
    ],
    ids=["one seed", "no references", "no local", "all diverged", "no method", "two scenarios"],
)
def test_every_shape_of_study_makes_a_page(records: StudyRecords, tmp_path: Path) -> None:
    text = write_report(records, tmp_path).read_text()
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower().split()
    memory = io.StringIO()
    print_summary(Console(file=memory, width=200), summary(records))
    assert "AUROC" in memory.getvalue()


def test_page_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    text = write_report(study(), tmp_path).read_text()
    links = re.findall(r'(?:src|href|action|data|poster)\s*=\s*["\']([^"\']*)', text)
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"url\((?!#)|@import|<script|<iframe|<object|<embed", text)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_names_are_escaped_and_cells_are_no_formulas(tmp_path: Path) -> None:
    records = study(methods=("FedAvg",))
    bad = '<script>alert("1")</script>'
    runs = records.runs.replace({"method": {"FedAvg": bad}, "scenario": {"": "=1+1"}})
    sites = records.sites.assign(
        site=records.sites["site"].cat.rename_categories({"A": "=HYPERLINK(1)", "B": "$\\frac"})
    )
    records = replace(records, runs=runs, sites=sites, question="</title><b>?", provenance={"command": "<i>"})
    text = write_report(records, tmp_path).read_text()
    assert "<script" not in text
    assert "<b>?" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;" in text
    assert "'=1+1" in (tmp_path / "summary.csv").read_text()
    assert "'=HYPERLINK" in (tmp_path / "sites.csv").read_text()


def test_runs_in_no_mean_are_named_beside_the_answer_and_marked_in_the_tables(tmp_path: Path) -> None:
    """FedProx diverges with seed 2 in both scenarios; its seed 1 in the severe one is not there."""
    known = study(scenarios=("mild", "severe"))
    gone = known.runs["run"] == "severeFedProx-1"
    absent = known.runs.loc[gone, list(ABSENT)]
    records = replace(known, runs=known.runs[~gone], absent=absent, why={"mildFedProx-2": "diverged in round 3"})
    lost = lost_runs(records)
    assert [(one.scenario, one.count, one.reason) for one in lost] == [
        ("mild", "1 of 3 (seed 2)", "diverged in round 3"),
        ("severe", "1 of 3 (seed 2)", "diverged"),
        ("severe", "1 of 3 (seed 1)", "not finished yet"),
    ]
    text = write_report(records, tmp_path).read_text()
    assert text.index("3 of 24 runs are not included in any mean") < text.index("Methods compared")
    assert "<td>1 of 3</td>" in text
    assert "FedProx, 1 of 3 runs" in text
    assert "not included in any mean" not in write_report(study(dead=("", 0)), tmp_path / "whole").read_text()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_csv_guards_what_a_spreadsheet_would_run(first: str) -> None:
    text = csv(pd.DataFrame({"name": [f"{first}1+1"]}))
    assert text.splitlines()[1].lstrip('"').startswith("'")


def test_csv_leaves_numbers_alone() -> None:
    frame = pd.DataFrame({"name": ["-a", "b"], "value": [-1.5, 2.0]})
    assert csv(frame) == "name,value\n'-a,-1.5\nb,2.0\n"


def test_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(study(scenarios=("mild", "severe")), tmp_path / name)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 3 + 2 * 3
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        if file.suffix == ".svg":
            ElementTree.parse(tmp_path / "one" / file)


def test_a_setting_that_changes_with_the_seed_is_marked(tmp_path: Path) -> None:
    known = study()
    of_seed = known.runs.set_index("run")["seed"]
    settings = {run: {**words, "cohort": {"consortium": int(of_seed[run])}} for run, words in known.settings.items()}
    changed = replace(known, settings=settings)
    assert differing(changed)[1]["cohort.consortium"] == "(follows the seed)"
    assert "every seed draws its own" in write_report(changed, tmp_path / "changed").read_text()
    assert "not how much it would change with other hospitals" in write_report(known, tmp_path / "same").read_text()


def test_settings_that_differ() -> None:
    own, shared = differing(study())
    assert own[("", "FedProx")] == {"algorithm": "FedProx", "algorithm.mu": "0.1"}
    assert own[("", "FedAvg")] == {"algorithm": "FedAvg"}
    assert shared == {"rounds": "4"}


def test_a_wide_study_is_whole_in_print_and_on_a_phone(tmp_path: Path) -> None:
    methods = [f"Method {letter}" for letter in "ABCDEFGH"]
    records = study(methods=methods, dead=("", 0))
    names = records.sites["site"].cat
    parts = [
        records.sites.assign(site=names.rename_categories([f"{name}-{at}" for name in names.categories]))
        for at in range(18)
    ]
    text = write_report(replace(records, sites=together(parts)), tmp_path).read_text()
    printed = text[text.index("@media print") :]
    assert "landscape" in printed
    assert "table-layout: fixed" in printed  # so that 12 columns share the width of the paper, and break their lines
    assert "overflow-wrap: anywhere" in printed
    assert "<details open><summary>Table of 55 sites" in text  # 54 and the 18 small ones together
    keys = re.findall(r'<ul class="key".*?</ul>', text, flags=re.DOTALL)
    assert len(keys) == 2
    assert all(f"</svg>{name}</li>" in keys[0] for name in [*methods, "Local only", "Pooled"])
    assert len(set(re.findall(r'stroke="(#\w+)"', keys[0]))) == 10  # no colour twice


def test_text_of_figures_is_text(tmp_path: Path) -> None:
    write_report(study(), tmp_path)
    drawn = (tmp_path / "figures" / "s0-gains.svg").read_text()
    assert "gain over the site's own model" in drawn
    assert ">FedProx</text>" in drawn


def test_the_page_defines_its_references_and_says_what_its_intervals_are_about(tmp_path: Path) -> None:
    records = study()
    text = write_report(records, tmp_path / "fresh").read_text()
    assert all(f"<dt>{name}</dt>" in text for name in ("Local only", "Pooled"))
    assert "solved to its optimum" in text
    assert "Every seed draws new patients" in text
    shared = pd.DataFrame({"run": records.runs["run"].unique(), "site": "", "overlap": 0.25})
    text = write_report(replace(records, overlaps=shared, convex=False), tmp_path / "fixed").read_text()
    assert "not an upper bound" in text
    assert "Nadeau and Bengio 2003" in text
    text = write_report(replace(records, overlaps=shared.assign(overlap=float("nan"))), tmp_path / "one").read_text()
    assert "there are no intervals" in text


def test_no_word_of_ours_alone_reaches_a_reader(tmp_path: Path) -> None:
    write_report(study(scenarios=("mild", "severe")), tmp_path)
    for path in [*tmp_path.glob("*.*"), *(tmp_path / "figures").iterdir()]:
        assert not re.search(r"\bsure(ly)?\b|leaves out zero|luck of its own", path.read_text()), path


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(study(), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real = Path.write_text

    def full(path: Path, text: str, **kwargs: str) -> int:
        if path.name == "index.html":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, text, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(Refused, match="No space left on device"):
        write_report(study(methods=("FedAvg",)), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
