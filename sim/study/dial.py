"""Dials of a study: each is one setting that takes several values while all others stay (sensitivity analysis)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.checks import Refused, brief
from sim.text import setting_value

Value = float | str


@dataclass(frozen=True)
class Dial:
    """One entry of `dials` in experiments/<name>.yaml."""

    title: str  # what it stands for, as figures say it
    setting: str  # a key such as cohort.tau
    steps: list[Value]  # its values, mildest first
    overrides: list[str] = field(default_factory=list)  # settings that hold for all its values: partition=affinity

    def __post_init__(self) -> None:
        if not isinstance(self.steps, list) or not isinstance(self.overrides, list):
            raise TypeError(f"dial {self.setting}: `steps` and `overrides` are lists")
        if not isinstance(self.title, str) or not isinstance(self.setting, str) or not self.setting:
            raise TypeError(f"dial {brief(self.setting)}: `title` and `setting` are text")
        for value in self.steps:
            known = isinstance(value, str | int | float) and not isinstance(value, bool)
            if not known or (isinstance(value, float) and not math.isfinite(value)):
                raise TypeError(f"dial {self.setting}: step {brief(value)}; give numbers, or words in quotes: 'true'")
        if not all(isinstance(word, str) for word in self.overrides):
            raise TypeError(f"dial {self.setting}: overrides={brief(self.overrides)} are no key=value settings")
        if len(self.steps) < 2 or len(set(self.labels)) < len(self.steps):
            raise TypeError(f"dial {self.setting}: steps={brief(self.steps)}; give at least two values, each once")

    @property
    def labels(self) -> list[str]:
        """Name of the scenario of every value, such as `cohort.tau=0.3`."""
        return [f"{self.setting}={setting_value(value)}" for value in self.steps]

    @property
    def scenarios(self) -> dict[str, list[str]]:
        """Scenario -> overrides."""
        return {label: [*self.overrides, label] for label in self.labels}


def dial_scenarios(dials: Sequence[Dial]) -> dict[str, list[str]]:
    """Scenario -> overrides of all dials; refuses two dials that give the same setting the same value."""
    found: dict[str, list[str]] = {}
    for dial in dials:
        for label, overrides in dial.scenarios.items():
            if label in found:
                raise Refused(f"dials: {label} occurs twice. Two dials of one setting need different values.")
            found[label] = overrides
    return found
