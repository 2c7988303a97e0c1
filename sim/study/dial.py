"""A dial of a study: one setting that is turned while all others stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.checks import Refused

Value = float | str


@dataclass(frozen=True)
class Dial:
    """One entry of `dials` in experiments/<name>.yaml."""

    title: str  # what it stands for, as figures say it
    setting: str  # a key such as cohort.tau
    steps: list[Value]  # where it stands, mildest first
    overrides: list[str] = field(default_factory=list)  # settings that hold along it, such as partition=affinity

    def __post_init__(self) -> None:
        if not isinstance(self.steps, list) or not isinstance(self.overrides, list):
            raise TypeError(f"dial {self.setting}: `steps` and `overrides` are lists")
        if len(self.steps) < 2 or len(set(self.labels)) < len(self.steps):
            raise TypeError(f"dial {self.setting}: steps={self.steps}; give at least two values, each once")

    @property
    def labels(self) -> list[str]:
        """Scenario of every value."""
        return [f"{self.setting}={shown(value)}" for value in self.steps]

    @property
    def scenarios(self) -> dict[str, list[str]]:
        """Scenario -> overrides."""
        return {label: [*self.overrides, label] for label in self.labels}


def shown(value: Value) -> str:
    """A value as an override and a figure say it."""
    return value if isinstance(value, str) else f"{value:g}"


def scenarios(dials: Sequence[Dial]) -> dict[str, list[str]]:
    """Scenario -> overrides of all dials; refuses two that turn the same setting to the same value."""
    found: dict[str, list[str]] = {}
    for dial in dials:
        for label, words in dial.scenarios.items():
            if label in found:
                raise Refused(f"dials: {label} stands twice. Two dials of one setting need values of their own.")
            found[label] = words
    return found
