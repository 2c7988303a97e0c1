"""Machine-readable reports of a gate: JSON with everything, and JUnit XML."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sim.files import make_folder, replace_whole
from sim.gate.finding import Finding, Outcome, exit_code
from sim.text import visible

FORMAT = 1  # of the JSON file
VERDICTS = {0: "pass", 1: "regression", 3: "cannot judge", 4: "a run failed"}


@dataclass(frozen=True)
class Report:
    """All findings of a gate."""

    gate: str
    findings: tuple[Finding, ...]
    commands: Mapping[tuple[str, str], str]  # scenario and method -> how to run the cell alone
    warn: bool  # inconclusive findings pass
    made: Mapping[str, str]  # date, commit and reason of the baseline
    unlike: tuple[str, ...]  # what differs between its environment and this one
    environment: Mapping[str, Any]

    @property
    def code(self) -> int:
        """Exit code."""
        return exit_code(self.findings, self.warn)

    @property
    def verdict(self) -> str:
        """The exit code in words."""
        return VERDICTS[self.code]

    @property
    def counts(self) -> dict[str, int]:
        """Outcome -> findings, of those that occur."""
        every = {outcome.value: sum(one.outcome is outcome for one in self.findings) for outcome in Outcome}
        return {name: number for name, number in every.items() if number}


def write_json(report: Report, path: Path) -> None:
    """Write all findings to a file."""
    content = {
        "format": FORMAT,
        "gate": report.gate,
        "exit_code": report.code,
        "verdict": report.verdict,
        "counts": report.counts,
        "baseline": dict(report.made),
        "other_environment": list(report.unlike),
        "environment": report.environment,
        "findings": [plain(one, report) for one in report.findings],
    }
    replace_whole(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def plain(one: Finding, report: Report) -> dict[str, Any]:
    """A finding as JSON; what is not known is null."""
    numbers = one.numbers._asdict() if one.numbers else {}
    known = {name: None if math.isnan(value) else value for name, value in numbers.items()}
    return {
        "scenario": one.scenario,
        "method": one.method,
        "tier": one.tier,
        "what": one.what,
        "outcome": one.outcome.value,
        "told": one.told,
        "numbers": known or None,
        "command": report.commands.get((one.scenario, one.method)),
    }


def write_junit(report: Report, path: Path) -> None:
    """Write a test case for every finding that can fail; notes and warnings are in its output."""
    cases = [case(one, report.warn) for one in report.findings]
    counted = {
        "tests": len(cases),
        "failures": sum(part.find("failure") is not None for part in cases),
        "errors": sum(part.find("error") is not None for part in cases),
        "skipped": sum(part.find("skipped") is not None for part in cases),
    }
    numbers = {name: str(number) for name, number in counted.items()}
    suites = ElementTree.Element("testsuites", numbers)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": visible(f"fedtrial gate {report.gate}"), **numbers})
    suite.extend(cases)
    ElementTree.indent(suites)
    make_folder(path.parent)
    replace_whole(path, ElementTree.tostring(suites, encoding="unicode", xml_declaration=False) + "\n")


def case(one: Finding, warn: bool) -> ElementTree.Element:
    """One finding as a test case; control characters, which XML does not allow, are replaced."""
    made = ElementTree.Element("testcase", {"classname": visible(one.cell), "name": visible(f"{one.tier}: {one.what}")})
    told = visible(one.told)
    kind = {Outcome.fail: "failure", Outcome.incomparable: "failure", Outcome.error: "error"}.get(one.outcome)
    if one.outcome is Outcome.inconclusive:
        kind = "skipped" if warn else "failure"
    if kind is None:
        ElementTree.SubElement(made, "system-out").text = told
    else:
        ElementTree.SubElement(made, kind, {"message": told, "type": one.outcome.value})
    return made
