"""What a gate writes and reads: baselines, JSON, JUnit XML, Markdown and annotations, with hostile names."""

import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.gate.baseline import read, text, unlike, write
from sim.gate.definition import load, located
from sim.gate.facts import facts
from sim.gate.finding import Finding, Numbers, Outcome
from sim.gate.github import SUMMARY_BYTES, annotations, changes, escaped, summary
from sim.gate.report import Report, write_json, write_junit
from sim.run.run import rehearse
from tests.gate.made import baseline, fact, gate

NUMBERS = Numbers(3, 0.7, 0.6, -0.1, math.nan, math.nan, 0.975, 0.01, math.nan)
HOSTILE = 'a|b <img src=x> ::error::x, "100%" & `c` \x1b[31m'


def report(*findings: Finding, warn: bool = False) -> Report:
    made = {"date": "2026-01-01", "commit": "abc", "reason": "first baseline"}
    return Report("mine", findings, {("", "FedAvg"): "fedtrial run seed=0"}, warn, made, (), {"packages": "x"})


def finding(outcome: Outcome, method: str = "FedAvg", told: str = "told.", numbers: Numbers | None = None) -> Finding:
    return Finding("", method, "quality", "auroc", outcome, told, numbers)


def test_a_baseline_is_read_as_it_was_written_a_line_for_each_seed(tmp_path: Path) -> None:
    made = gate({"FedAvg": ["algorithm=fedavg"], "Top-k: é": ["uplink=[topk]"]})
    held, path = baseline(made), tmp_path / "mine.json"
    write(path, made, held)
    assert read(path) == held
    assert sum('"seed"' in line for line in path.read_text().splitlines()) == 20
    assert "é" in path.read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("0.7", "0.6"), "changed since it was written"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2, allowed 1"),
        (lambda text: text.replace("0.7", "NaN"), "damaged"),
        (lambda text: text.replace('"terms"', '"thermos"'), "changed since it was written"),
        (lambda text: "<<<<<<< HEAD\n" + text, "damaged"),
        (lambda text: "[]", "damaged"),
    ],
)
def test_a_changed_baseline_is_refused(change, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(change(text(baseline(gate()), "mine.yaml")))
    with pytest.raises(Refused, match=says) as refused:
        read(path)
    assert "--update" in str(refused.value)


def test_a_baseline_knows_its_gate(tmp_path: Path) -> None:
    (tmp_path / "gates").mkdir()
    file = tmp_path / "gates" / "mine.yaml"
    file.write_text("seeds: 5\nmargins: {auroc: 0.01}\noverrides: []\nmethods: {A: [algorithm=fedavg]}\n")
    path = tmp_path / "results" / "mine.json"
    write(path, load(file), baseline(gate()))
    assert located(str(path)) == (file, path)
    assert located(str(file)) == (file, Path("results/baselines/mine.json"))
    with pytest.raises(Refused, match="no such baseline"):
        located(str(tmp_path / "other.json"))
    with pytest.raises(Refused, match="allowed ci"):
        located("cii")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("seeds: 5\nmargin: 0.01", "margin"),
        ("- a", "has no keys"),
        ("seeds: five\nmargins: {auroc: 1}\noverrides: []\nmethods: {A: []}", "not a whole number"),
        ("seeds: 5\noverrides: []\nmethods: {A: []}", "margins: name at least one"),
        ("seeds: 5\nmargins: {auroc: 0.01}\nmethods: {A: []}", "overrides is missing"),
        ("a: [", "not a gate"),
    ],
)
def test_a_file_that_is_no_gate_is_refused(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(Refused, match=says):
        load(file)


def test_what_differs_between_machines_is_named() -> None:
    one = {"versions": {"torch": "2"}, "machine": {"vector": "AVX512"}, "packages": {"lock": "a", "installed": "b"}}
    assert unlike(one, one) == []
    assert unlike(one, one | {"machine": {"vector": "NEON"}}) == ["vector AVX512 → NEON"]
    assert unlike(one, one | {"packages": {"lock": "c", "installed": "d"}}) == ["lock a → c"]


def test_json_holds_everything_and_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "out" / "gate.json"
    write_json(report(finding(Outcome.inconclusive, numbers=NUMBERS)), path)
    content = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(word))
    assert (content["format"], content["exit_code"], content["verdict"]) == (1, 3, "cannot judge")
    (row,) = content["findings"]
    assert (row["method"], row["outcome"], row["numbers"]["mean"], row["numbers"]["low"]) == (
        "FedAvg",
        "inconclusive",
        -0.1,
        None,
    )


@pytest.mark.parametrize(("warn", "failures", "skipped"), [(False, 3, 0), (True, 2, 1)])
def test_junit_is_xml_whatever_the_names(warn: bool, failures: int, skipped: int, tmp_path: Path) -> None:
    path = tmp_path / "gate.xml"
    kinds = (Outcome.ok, Outcome.fail, Outcome.error, Outcome.incomparable, Outcome.inconclusive, Outcome.note)
    write_junit(report(*(finding(kind, HOSTILE, HOSTILE) for kind in kinds), warn=warn), path)
    suites = ElementTree.parse(path).getroot()
    counts = {name: int(suites.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 6, "failures": failures, "errors": 1, "skipped": skipped}
    cases = list(suites.iter("testcase"))
    assert cases[0].attrib["classname"] == HOSTILE.replace("\x1b", "\\x1b")
    assert "<img src=x>" in cases[1].find("failure").attrib["message"]


def test_annotations_are_ten_the_worst_first_and_escaped() -> None:
    many = [finding(Outcome.inconclusive, f"open {number}") for number in range(9)]
    lines = annotations(
        report(*many, finding(Outcome.fail, HOSTILE, "a\nb"), finding(Outcome.error), finding(Outcome.ok))
    )
    assert len(lines) == 10
    assert lines[0].startswith("::error title=gate mine%3A fail::")
    assert "100%25" in lines[0]
    assert lines[0].endswith("a%0Ab")
    assert lines[1].startswith("::error title=gate mine%3A error::")
    assert not any("\n" in line for line in lines)
    mild = annotations(report(finding(Outcome.inconclusive), warn=True))
    assert mild[0].startswith("::warning ")


def test_markdown_is_escaped_and_within_a_mebibyte() -> None:
    shown = summary(report(finding(Outcome.fail, HOSTILE, "x\ny", NUMBERS)))
    (row,) = [line for line in shown.splitlines() if line.startswith("| fail |")]
    assert row.count("|") - row.count("\\|") == 6
    assert "<img" not in row.replace("\\<", "")
    long = summary(report(*[finding(Outcome.fail, "é" * 500, "x") for _ in range(2000)]))
    assert SUMMARY_BYTES - 3000 < len(long.encode()) <= SUMMARY_BYTES
    assert long.endswith("the JSON file has all of it.\n")
    assert escaped("a_b*c") == "a\\_b\\*c"


def test_an_update_tells_what_changed() -> None:
    made = gate({"FedAvg": ["algorithm=fedavg"], "SCAFFOLD": ["algorithm=scaffold"]})
    before = baseline(made)
    cells = dict(before.cells)
    key = ("", "SCAFFOLD")
    moved = tuple(replace(fact(seed, auroc=0.72), bytes_up=960) for seed in range(10))
    cells[key] = replace(cells[key], facts=moved)
    now = replace(before, cells=cells, made=before.made | {"reason": "twice | as many"})
    told = changes("mine", before, now)
    assert "Reason: twice \\| as many" in told
    assert "| SCAFFOLD | auroc | 0.74500 | 0.76500 (+0.02000) |" in told
    assert "| SCAFFOLD | bytes\\_up (10 seeds) | 480 | 960 |" in told
    assert "| FedAvg |" not in told
    assert "same values and facts" in changes("mine", before, before)
    assert "Cells in the first baseline: 2." in changes("mine", None, before)
    assert "| SCAFFOLD | cell | there | gone |" in changes("mine", before, baseline(gate()))


def test_a_new_column_of_the_records_is_no_other_run(small: Experiment) -> None:
    run = rehearse(small)
    known = facts(run, 1, ["auroc"]).records
    assert facts(replace(run, rounds=run.rounds.assign(more=1)), 1, ["auroc"]).records == known
    assert facts(replace(run, id="x", rounds=run.rounds.assign(run="x")), 1, ["auroc"]).records == known
    assert facts(replace(run, rounds=run.rounds.assign(loss=0.5)), 1, ["auroc"]).records != known
