"""Rules of an import: the codes, the last day a record may have, and what becomes of that which is not understood."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from sim.checks import Refused
from sim.cohort.clinical.codes import CodeMap, packaged

SLACK = 1  # days: Synthea writes conditions and deaths in local time, all else in UTC, so one day may look like two

Day = int  # date.toordinal()


class Odd(Refused):
    """A record or a patient that cannot be a row; `reason` names the kind, for the count of those left out."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{text} Or leave such records out with --unknown skip, which counts them.")
        self.reason = reason


def today() -> Day:
    """The day of the import."""
    return date.today().toordinal()


@dataclass(frozen=True)
class Rules:
    """What an import reads by. `not_understood` counts what is left out; None = it is refused."""

    not_understood: Counter[str] | None = None
    codes: CodeMap = field(default_factory=packaged)
    until: Day = field(default_factory=today)  # last day of the export; a later one is an error

    def leave_out(self, odd: Odd) -> None:
        """Count what cannot be read, or raise it."""
        if self.not_understood is None:
            raise odd
        self.not_understood[odd.reason] += 1

    def known_day(self, day: Day | None, place: str) -> Day | None:
        """The day; raises Odd for one after the export."""
        if day is not None and day > self.until + SLACK:
            raise Odd("days after the export's end", f"{place}: {date.fromordinal(day)} is {self.too_late}")
        return day

    @property
    def too_late(self) -> str:
        """What is wrong with a day after the export, and the remedy."""
        return (
            f"after {date.fromordinal(self.until)}, the last day of the export. Correct it, or name that day with "
            "--until (default: today)."
        )
