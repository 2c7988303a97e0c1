"""Findings of a gate: the outcome of each comparison, its severity, and the overall result."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Outcome(Enum):
    """Outcomes from the most to the least severe, with their exit codes."""

    fail = "fail"  # it got worse, or something changed that cannot be noise
    error = "error"  # a run failed
    incomparable = "not comparable"  # it has no counterpart in the baseline
    inconclusive = "inconclusive"
    warning = "warning"
    note = "note"
    ok = "pass"


CODES = {Outcome.fail: 1, Outcome.error: 4, Outcome.incomparable: 3, Outcome.inconclusive: 3}
GRAVEST = list(Outcome)


class Numbers(NamedTuple):
    """Paired differences of a metric, more being better."""

    seeds: int
    before: float  # mean over seeds, as the metric is
    now: float
    mean: float  # of the differences
    low: float  # one-sided bounds; NaN where there are too few seeds
    high: float
    level: float  # of each bound
    margin: float
    p: float  # p-value of a loss beyond the margin, by Holm; NaN without a test


@dataclass(frozen=True)
class Finding:
    """One outcome; scenario and method are empty for the gate as a whole."""

    scenario: str
    method: str
    tier: str  # "validity" | "exact" | "bits" | "quality" | "speed"
    what: str  # the metric or the fact
    outcome: Outcome
    told: str  # one or two sentences
    numbers: Numbers | None = None

    @property
    def cell(self) -> str:
        """Name of the cell in messages."""
        return f"{self.method}{self.scenario and f', {self.scenario}'}" or "gate"


def gravest(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that need attention, the most severe first."""
    grave = [one for one in findings if one.outcome not in (Outcome.ok, Outcome.note)]
    return sorted(grave, key=lambda one: GRAVEST.index(one.outcome))


def split(findings: Sequence[Finding]) -> tuple[list[tuple[Finding, Numbers]], str]:
    """The metrics that changed or have a problem, and a sentence about the others; "" if there are none."""
    tested = [(one, one.numbers) for one in findings if one.numbers]
    moved = [
        (one, them) for one, them in tested if one.outcome is not Outcome.ok or abs(them.mean) > 0.01 * them.margin
    ]
    still = len(tested) - len(moved)
    sentence = f"Changed by less than a hundredth of the margin: {still} of {len(tested)} metrics of cells."
    return moved, sentence if still else ""


def exit_code(findings: Sequence[Finding], warn: bool) -> int:
    """0, or the code of the most severe outcome; `warn` lets inconclusive ones pass."""
    there = {one.outcome for one in findings} - ({Outcome.inconclusive} if warn else set())
    return next((CODES[outcome] for outcome in GRAVEST if outcome in there and outcome in CODES), 0)
