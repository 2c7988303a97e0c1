"""Output of a gate for GitHub: Markdown for a job's summary or a pull request, and annotations; names are escaped."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from sim.gate.baseline import Baseline
from sim.gate.finding import Finding, Outcome, gravest, split
from sim.gate.report import Report
from sim.text import number, signed, visible

SUMMARY_BYTES = 2**20  # that a step may add to the summary
MOST_ANNOTATIONS = 10  # of a kind that GitHub shows of a step
MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-!|&~$@^=])")
END = "\nThe rest is too long for this summary; the JSON file has all of it.\n"


def escaped(text: str) -> str:
    """Text escaped for Markdown, also in tables, on one line."""
    return MARKS.sub(r"\\\1", " ".join(visible(text).split()))


def summary(report: Report) -> str:
    """The verdict, the problems, and the table of qualities, within GitHub's size limit."""
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    lines = [f"## Gate {escaped(report.gate)}: {report.verdict}", "", f"{counts}.", ""]
    grave = gravest(report.findings)
    if grave:
        lines += ["| outcome | cell | tier | what | |", "|---|---|---|---|---|"]
        lines += [
            f"| {one.outcome.value} | {escaped(one.cell)} | {one.tier} | {escaped(one.what)} | {escaped(one.told)} |"
            for one in grave
        ]
        lines.append("")
    lines += qualities(report.findings)
    if report.made:
        lines.append(f"Baseline of {report.made['date']}, commit {escaped(report.made['commit'])}.")
    return within_bytes(lines, SUMMARY_BYTES)


def qualities(findings: Sequence[Finding]) -> Iterator[str]:
    """The metrics that changed with their numbers, and how many did not."""
    moved, still = split(findings)
    if moved:
        yield "| cell | metric | seeds | baseline | now | better by | bounds | margin | outcome |"
        yield "|---|---|---|---|---|---|---|---|---|"
    for one, them in moved:
        bounds = "" if math.isnan(them.low) else f"{signed(them.low, 4)} to {signed(them.high, 4)}"
        yield (
            f"| {escaped(one.cell)} | {escaped(one.what)} | {them.seeds} | {number(them.before, 4)} | "
            f"{number(them.now, 4)} | {signed(them.mean, 4)} | {bounds} | {them.margin:g} | {one.outcome.value} |"
        )
    yield ""
    if still:
        yield f"{still}\n"


def within_bytes(lines: Sequence[str], most: int) -> str:
    """Lines joined to one text, without the last ones if there are too many bytes."""
    text = "\n".join(lines) + "\n"
    if len(text.encode()) <= most:
        return text
    kept, left = [], most - len(END.encode())
    for line in lines:
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join(kept) + "\n" + END


def annotations(report: Report) -> list[str]:
    """Workflow commands for the gravest findings; inconclusive ones are warnings where they pass."""
    found = []
    for one in gravest(report.findings)[:MOST_ANNOTATIONS]:
        mild = one.outcome is Outcome.warning or (one.outcome is Outcome.inconclusive and report.warn)
        title = of_property(f"gate {report.gate}: {one.outcome.value}")
        found.append(
            f"::{'warning' if mild else 'error'} title={title}::{of_message(f'{one.cell}: {one.what}: {one.told}')}"
        )
    return found


def of_message(text: str) -> str:
    """Text as the message of a workflow command."""
    return visible(text).replace("%", "%25").replace("\n", "%0A")


def of_property(text: str) -> str:
    """Text as the value of a property of a workflow command."""
    return of_message(text).replace(":", "%3A").replace(",", "%2C")


def changes(gate: str, before: Baseline | None, now: Baseline) -> str:
    """The changes of an update, for the text of a pull request; only cells with changes."""
    reason = escaped(now.made["reason"])
    lines = [f"### Baseline of gate {escaped(gate)} updated", "", f"Reason: {reason}", ""]
    if before is None:
        return "\n".join([*lines, f"Cells in the first baseline: {len(now.cells)}."]) + "\n"
    rows = [row for key in now.cells for row in changed(key, before, now)]
    gone = [f"| {escaped(name(key))} | cell | there | gone |" for key in before.cells if key not in now.cells]
    terms = [
        f"| gate | {escaped(key)} | {escaped(str(before.terms.get(key)))} | {escaped(str(value))} |"
        for key, value in now.terms.items()
        if before.terms.get(key) != value
    ]
    if not [*terms, *rows, *gone]:
        return "\n".join([*lines, f"All {len(now.cells)} cells have the same values and facts as before."]) + "\n"
    head = ["| cell | what | before | now |", "|---|---|---|---|"]
    return "\n".join([*lines, *head, *terms, *rows, *gone]) + "\n"


def name(key: tuple[str, str]) -> str:
    """A cell as findings call it."""
    return Finding(*key, "", "", Outcome.ok, "").cell


def changed(key: tuple[str, str], before: Baseline, now: Baseline) -> Iterator[str]:
    """Rows of one cell: means of metrics over the seeds that both have, and exact facts."""
    cell, new = escaped(name(key)), now.cells[key]
    old = before.cells.get(key)
    if old is None:
        yield f"| {cell} | cell | none | new |"
        return
    pairs = list(zip(old.facts, new.facts, strict=False))
    sides: Mapping[str, tuple[float, float]] = {
        metric: (
            sum(one.values[metric] for one, _ in pairs) / len(pairs),
            sum(one.values[metric] for _, one in pairs) / len(pairs),
        )
        for metric in new.facts[0].values
        if metric in old.facts[0].values
    }
    for metric, (mean, other) in sides.items():
        if any(one.values[metric] != two.values[metric] for one, two in pairs):
            difference = signed(other - mean, 5)
            yield f"| {cell} | {escaped(metric)} | {number(mean, 5)} | {number(other, 5)} ({difference}) |"
    for fact in ("rounds", "uploads", "bytes_up", "bytes_down", "partition", "data"):
        moved = [(getattr(one, fact), getattr(two, fact)) for one, two in pairs]
        moved = [(one, two) for one, two in moved if one != two]
        if moved:
            one, two = moved[0]
            yield f"| {cell} | {escaped(fact)} ({len(moved)} seeds) | {escaped(str(one))} | {escaped(str(two))} |"
