"""`fedtrial gate`: comparison of algorithms with a committed baseline."""

import math
import os
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.checks import Refused, one_of, within
from sim.files import writable, writable_file
from sim.gate.baseline import Baseline, read, surroundings, unlike, write
from sim.gate.definition import Gate, GateCell, gate_cells, load, located
from sim.gate.finding import Finding, Numbers, Outcome, exit_code, gravest, split
from sim.gate.github import annotations, changes, summary
from sim.gate.report import Report, write_json, write_junit
from sim.gate.run import Asked, judge, renew
from sim.progress import compiling
from sim.text import number, signed

NO_BASELINE = Finding(
    "", "", "validity", "baseline", Outcome.incomparable, "There was none. The first was made: review and commit it."
)


def decide(
    console: Console,
    name: str,
    update: bool,
    reason: str,
    inconclusive: str,
    asked: Asked,
    json_file: Path | None,
    junit_file: Path | None,
) -> int:
    """Exit code of a gate, see docs/gate.md."""
    one_of("--inconclusive", inconclusive, ["fail", "warn"])
    if update != bool(reason.strip()):
        raise Refused(
            "--update and --reason must be given together: the reason tells reviewers why the baseline changes."
        )
    if update:
        refuse_beside_update(asked, inconclusive, json_file, junit_file)
    for option, path in (("--json", json_file), ("--junit", junit_file)):
        if path:
            writable_file(option, path)
    file, path = located(name)
    gate = load(file)
    within("--seeds", asked.seeds, 0, gate.most_seeds)
    if asked.slower:
        within("--speed", asked.slower, 1)
    cells = gate_cells(gate)
    writable(path.parent)
    with compiling():
        if update:
            return exit_code(renewed(console, gate, cells, path, reason, asked.workers), warn=False)
        first = not path.exists()
        if first:
            findings = renewed(console, gate, cells, path, "first baseline", asked.workers) or [NO_BASELINE]
        baseline = old(path) if first else read(path)
        if baseline and not first:
            findings = judge(gate, cells, baseline, asked)
    now = surroundings()
    report = Report(
        gate.name,
        tuple(findings),
        {cell.key: command(cell) for cell in cells},
        inconclusive == "warn",
        baseline.made if baseline else {},
        tuple(unlike(baseline.environment, now)) if baseline else (),
        now,
    )
    if json_file:
        write_json(report, json_file)
    if junit_file:
        write_junit(report, junit_file)
    tell(console, report)
    return report.code


def command(cell: GateCell) -> str:
    """How to run the first seed of a cell alone."""
    return shlex.join(["fedtrial", "run", *cell.words, "seed=0"])


def refuse_beside_update(asked: Asked, inconclusive: str, json_file: Path | None, junit_file: Path | None) -> None:
    """Refuse options of a comparison: an update compares nothing."""
    given = {
        "--seeds": asked.seeds,
        "--exact": asked.strict,
        "--speed": asked.slower,
        "--inconclusive": inconclusive == "warn",
        "--json": json_file,
        "--junit": junit_file,
    }
    for option, value in given.items():
        if value:
            raise Refused(f"{option} beside --update: a new baseline is compared with nothing. Leave it out.")


def renewed(
    console: Console, gate: Gate, cells: list[GateCell], path: Path, reason: str, workers: int
) -> list[Finding]:
    """Write a new baseline and print its changes; returns the runs that failed or diverged, which leave the old one."""
    made, troubles = renew(gate, cells, reason, workers)
    if made is None:
        with harmless(console):
            for one in gravest(troubles):
                console.print(f"{one.outcome.value}: {one.cell}: {one.told}", markup=False, soft_wrap=True)
        console.print(f"Nothing was written to {path}: a baseline may only contain successful runs.", markup=False)
        return list(troubles)
    markdown = changes(gate.name, old(path), made)
    write(path, gate, made)
    with harmless(console):
        console.print(markdown, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{path} was written: review and commit it.", markup=False, highlight=False, soft_wrap=True)
    return []


def old(path: Path) -> Baseline | None:
    """The existing baseline; None if there is none that can be read."""
    try:
        return read(path) if path.exists() else None
    except Refused:
        return None


def tell(console: Console, report: Report) -> None:
    """Print the table and all problems; on GitHub also annotations and the job's summary."""
    with harmless(console):
        for part in told(report):
            console.print(part, soft_wrap=isinstance(part, Text))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for words in annotations(report):
            console.out(words, highlight=False)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if place:
        add_summary(Path(place), summary(report))
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items())
    console.print(f"Gate {report.gate}: {report.verdict} ({counts}).", markup=False, soft_wrap=True)


def told(report: Report) -> Iterator[Table | Text]:
    """The metrics that changed, all other findings, and the command that runs the worst cell."""
    moved, still = split(report.findings)
    if moved:
        yield table(report, moved)
    if still:
        yield Text(still)
    speeds = [one for one in report.findings if (one.tier, one.outcome) == ("speed", Outcome.note)]
    for one in report.findings:
        if one.outcome is not Outcome.ok and one not in speeds:
            yield Text(f"{one.outcome.value}: {one.cell}: {one.what}: {one.told}")
    if speeds:
        ratios = ", ".join(f"{one.cell} {one.told.split()[0]}" for one in speeds)
        yield Text(f"Speed relative to a hand-written loop: {ratios}.")
    if report.unlike:
        yield Text(f"Bits not compared: {'; '.join(report.unlike)}.")
    worst = next(iter(gravest(report.findings)), None)
    if worst and (worst.scenario, worst.method) in report.commands:
        yield Text(f"To run the worst cell alone: {report.commands[worst.scenario, worst.method]}")


def add_summary(path: Path, text: str) -> None:
    """Add Markdown to the summary of a job, which earlier steps may have begun."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refused(f"GITHUB_STEP_SUMMARY={path}: cannot be written ({error.strerror}). Unset it.") from None


def table(report: Report, moved: Sequence[tuple[Finding, Numbers]]) -> Table:
    """Numbers of the quality tier."""
    made = Table("cell", "metric", "seeds", "baseline", "now", "better by", "bounds", "margin", "")
    made.title = f"Gate {report.gate}, paired with the baseline of {report.made['date']}"
    for one, them in moved:
        cells = [one.cell, one.what, str(them.seeds), number(them.before, 4), number(them.now, 4)]
        bounds = "" if math.isnan(them.low) else f"{signed(them.low, 4)} to {signed(them.high, 4)}"
        cells += [signed(them.mean, 4), bounds, f"{them.margin:g}", one.outcome.value]
        made.add_row(*map(Text, cells))
    return made


@contextmanager
def harmless(console: Console) -> Iterator[None]:
    """Context in which GitHub does not interpret printed text as workflow commands."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    console.out(f"::stop-commands::{token}", highlight=False)
    try:
        yield
    finally:
        console.out(f"::{token}::", highlight=False)
