"""The schema of a gate: which cells run with how many seeds, and how large a loss of each metric matters."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sim.assets import root
from sim.checks import Refused, brief, one_of, within
from sim.cohort.tabular.unreadable import not_text
from sim.config.compose import MOST_RUNS
from sim.config.experiment import Experiment, identity
from sim.config.many import Configs, seeded
from sim.config.yaml_words import read_yaml
from sim.files import expanded
from sim.metrics import METRICS, Metric
from sim.study.study import MOST_SEEDS, Study

KEYS = ("seeds", "most_seeds", "margins", "overrides", "methods", "scenarios")
Key = tuple[str, str]  # scenario and method
BASELINES = Path("results/baselines")  # below the current folder, as results/runs


@dataclass(frozen=True)
class Gate:
    """The content of a gate's file; raises TypeError for wrong types and Refused for wrong values."""

    file: Path
    seeds: int  # >= 1; every cell runs with seeds 0 .. seeds - 1
    most_seeds: int  # >= seeds; an inconclusive cell is run with the further ones
    margins: dict[str, float]  # metric -> the largest irrelevant loss, > 0 in units of the metric
    plan: Study  # methods and scenarios

    def __post_init__(self) -> None:
        for key, number in (("seeds", self.seeds), ("most_seeds", self.most_seeds)):
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"{key}={brief(number)} is not a whole number")
        within("seeds", self.seeds, 1, MOST_SEEDS)
        within("most_seeds", self.most_seeds, self.seeds, MOST_SEEDS)
        for metric, margin in self.margins.items():
            one_of("margins", metric, METRICS)
            if not isinstance(margin, int | float) or isinstance(margin, bool):
                raise TypeError(f"margins: {metric}: {brief(margin)} is no number")
            within(f"margins: {metric}", margin, 0, open_low=True)

    @classmethod
    def of(cls, file: Path, content: dict[str, Any]) -> "Gate":
        """A gate from the keys of its file."""
        margins = content.get("margins")
        if not isinstance(margins, dict) or not margins:
            raise TypeError("margins: name at least one metric and its margin, such as auroc: 0.01")
        for key in ("seeds", "overrides", "methods"):
            if key not in content:
                raise TypeError(f"{key} is missing")
        parts = {key: content[key] for key in ("overrides", "methods", "scenarios") if key in content}
        plan = Study(name=file.stem, question="", metric=next(iter(margins)), seeds=1, **parts)
        return cls(file, content["seeds"], content.get("most_seeds", content["seeds"]), margins, plan)

    @property
    def name(self) -> str:
        """Its name in messages and reports."""
        return self.plan.name

    @property
    def terms(self) -> dict[str, Any]:
        """What both sides of a comparison must share in addition to the cells, as plain JSON."""
        metrics = {name: scale(METRICS[name]) for name in self.margins}
        return {"seeds": self.seeds, "most_seeds": self.most_seeds, "margins": self.margins, "metrics": metrics}


@dataclass(frozen=True)
class GateCell:
    """A method in a scenario, with the experiments of all seeds up to `most_seeds`."""

    scenario: str
    method: str
    words: tuple[str, ...]  # its settings as the gate's file has them
    experiments: tuple[Experiment, ...]
    metrics: tuple[str, ...]  # metrics by which it is judged

    @property
    def key(self) -> Key:
        """Scenario and method."""
        return self.scenario, self.method

    @property
    def resolved(self) -> list[Any]:
        """All settings of every seed, defaults too."""
        return [identity(experiment) for experiment in self.experiments]


def gate_cells(gate: Gate) -> list[GateCell]:
    """Every cell of a gate; refuses wrong settings in any of them, and a cell without a metric of the gate."""
    plan = gate.plan
    number = len(plan.all_scenarios) * len(plan.methods) * gate.most_seeds
    if number > MOST_RUNS:
        raise Refused(f"{gate.name}: {number:,} runs with most_seeds={gate.most_seeds}: allowed {MOST_RUNS:,}.")
    made, configs = [], Configs()
    for scenario, method, words in combined(plan):
        called = f"{gate.name}: {method}{scenario and f', scenario {scenario}'}"
        try:
            experiments = tuple(seeded(words, gate.most_seeds, configs))
        except Refused as refusal:
            raise Refused(f"{called}: {refusal}") from None
        given = experiments[0].metrics
        metrics = tuple(metric for metric in gate.margins if metric in given)
        if not metrics:
            raise Refused(f"{called}: margins has none of its metrics. Give a margin for one of {', '.join(given)}.")
        made.append(GateCell(scenario, method, tuple(words), experiments, metrics))
    return made


def scale(metric: Metric) -> str:
    """Direction and range of a metric."""
    return f"{metric.better}, {metric.bottom:g} to {metric.top:g}"


def combined(plan: Study) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Scenario, method and settings of every cell."""
    for scenario, overrides in plan.all_scenarios.items():
        for method, chosen in plan.methods.items():
            yield scenario, method, [*plan.overrides, *overrides, *chosen]


def located(name: str) -> tuple[Path, Path]:
    """The gate's file and the baseline's, given the name of either; refuses missing files."""
    path = expanded(name)
    if path.suffix == ".json":
        try:
            told = json.loads(path.read_text(encoding="utf-8"))["gate"]
            return Path(os.path.normpath(path.parent / told)), path
        except OSError:
            raise Refused(f"{path}: no such baseline. Name the gate's file to create the baseline.") from None
        except (ValueError, TypeError, KeyError):
            raise Refused(
                f"{path}: not the baseline of a gate. Create it again: name the gate's file, with --update."
            ) from None
    if path.suffix not in (".yaml", ".yml"):
        folder = root() / "experiments" / "gates"
        one_of("gate", name, [known.stem for known in folder.glob("*.yaml")], "Or name a file: gates/mine.yaml.")
        path = folder / f"{name}.yaml"
    return path, BASELINES / f"{path.stem}.json"


def load(path: Path) -> Gate:
    """The gate of a file; refuses a file that is missing or not a gate."""
    if not path.is_file():
        raise Refused(f"{path}: no such file. Name a gate's file, or a gate of experiments/gates.")
    try:
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise TypeError("it has no keys")
        for key in content:
            one_of(f"{path}: key", str(key), KEYS)
        return Gate.of(path, content)
    except UnicodeDecodeError:
        raise Refused(not_text(path)) from None
    except (yaml.YAMLError, TypeError) as error:
        why = " ".join(str(error).split())
        raise Refused(f"{path}: not a gate: {why}. See experiments/gates/ci.yaml for the keys.") from None
