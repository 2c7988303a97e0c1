"""The schema of a study: one question, and the methods, scenarios and dials whose runs answer it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import yaml

from sim.assets import root
from sim.checks import Refused, brief, one_of, within
from sim.cohort.tabular.unreadable import not_text
from sim.config.words import refuse_twice
from sim.config.yaml_words import read_yaml
from sim.files import expanded
from sim.metrics import METRICS
from sim.study.dial import Dial, dial_scenarios
from sim.study.tuning import refuse_tuning
from sim.text import visible

MOST_SEEDS = 10_000

# Reference -> its label; tables list them in this order.
REFERENCE_LABELS = {"local": "Local only", "pooled": "Pooled", "oracle": "Oracle"}


@dataclass(frozen=True)
class Study:
    """The content of experiments/<name>.yaml; raises TypeError for wrong types and Refused for wrong values."""

    name: str
    question: str
    metric: str  # primary metric, a key of METRICS
    seeds: int  # >= 1; run with seeds 0 .. seeds - 1
    overrides: list[str]  # settings of all runs
    methods: dict[str, list[str]]  # label -> overrides
    scenarios: dict[str, list[str]] = field(default_factory=dict)  # label -> overrides
    dials: list[Dial] = field(default_factory=list)  # every value of every dial is a scenario too
    margin: float = 0.01  # the target is the pooled model's metric less this
    published: dict[str, float] = field(default_factory=dict)  # label -> value of the metric elsewhere
    tune: dict[str, list[Any]] = field(default_factory=dict)  # setting -> values that every method is tried with

    def __post_init__(self) -> None:
        for key, word in (("name", self.name), ("question", self.question), ("metric", self.metric)):
            if not isinstance(word, str):
                raise TypeError(f"{key}: {brief(word)} is no text")
        if not isinstance(self.seeds, int) or isinstance(self.seeds, bool):
            raise TypeError(f"seeds={brief(self.seeds)} is not a whole number")
        for key, given in (("methods", self.methods), ("scenarios", self.scenarios), ("published", self.published)):
            if not isinstance(given, dict):
                raise TypeError(f"{key}: {brief(given)} is not a mapping of labels")
        if not self.methods:
            raise TypeError("it names no method")
        for label, words in [("overrides", self.overrides), *self.methods.items(), *self.scenarios.items()]:
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise TypeError(f"{label}: {brief(words)} is not a list of key=value settings")
        for key, number in (("margin", self.margin), *self.published.items()):
            if not isinstance(number, int | float) or isinstance(number, bool):
                raise TypeError(f"{key}: {brief(number)} is no number")
            if not math.isfinite(number):
                raise Refused(f"{self.name}: {key}={number}: allowed a finite number.")
        refuse_tuning(self.tune)
        one_of(f"{self.name}: metric", self.metric, METRICS)
        within(f"{self.name}: seeds", self.seeds, 1, MOST_SEEDS)
        within(f"{self.name}: margin", self.margin, 0)
        self.refuse_labels()
        self.refuse_words()

    def refuse_words(self) -> None:
        """Refuse settings that cells would not heed: a seed, the same one twice in a list, a folder for some runs."""
        tuned = [f"{key}=" for key in self.tune]
        single = [*self.methods.items(), *self.all_scenarios.items(), ("tune", tuned)]
        for label, words in [("overrides", self.overrides), *single]:
            for word in words:
                if word.lstrip("+~").split("=")[0] == "seed":
                    raise Refused(f"{self.name}: {label}: {word}: runs have seeds 0 to N-1; set N with the key seeds.")
                if label != "overrides" and word.lstrip("+~").startswith("results."):
                    raise Refused(f"{self.name}: {label}: {word}: all runs lie in one folder. Put it under overrides.")
            try:
                refuse_twice(words)
            except Refused as refusal:
                raise Refused(f"{self.name}: {label}: {refusal}") from None

    def refuse_labels(self) -> None:
        """Refuse labels that are not text, or that are already used."""
        for key, labels in (("methods", self.methods), ("scenarios", self.scenarios), ("published", self.published)):
            for label in labels:
                if not isinstance(label, str) or not label.strip() or label != visible(label) or "\n" in label:
                    raise Refused(f"{self.name}: {key}: {label!r} is not a label. Write one line of text.")
                if key == "methods" and label in REFERENCE_LABELS.values():
                    raise Refused(
                        f"{self.name}: methods: {label!r} is the name of a reference, which every study includes "
                        f"({', '.join(REFERENCE_LABELS.values())}). Choose another label."
                    )
        for label in self.published:
            one_of(f"{self.name}: published", label, [*self.methods, *REFERENCE_LABELS.values()])
        for label in dial_scenarios(self.dials):
            if label in self.scenarios:
                raise Refused(f"{self.name}: {label!r} is a scenario and a value of a dial. Leave one out.")

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Study":
        """A study from plain JSON or YAML; raises TypeError where keys or kinds are wrong."""
        dials = content.get("dials", [])
        if not isinstance(dials, list) or not all(isinstance(dial, dict) for dial in dials):
            raise TypeError(f"dials: {brief(dials)} is not a list of dials, each with title, setting and steps")
        return cls(**content | {"dials": [Dial(**dial) for dial in dials]})

    @property
    def all_scenarios(self) -> dict[str, list[str]]:
        """Scenario -> overrides, including those of the dials; one scenario named "" if the study has none."""
        return self.scenarios | dial_scenarios(self.dials) or {"": []}

    @property
    def chosen_settings(self) -> set[str]:
        """Keys of the settings that methods, scenarios and dials choose, and the groups that these are in."""
        chosen = [*self.methods.values(), *self.all_scenarios.values()]
        keys = {word.lstrip("+~").split("=")[0] for words in chosen for word in words} | set(self.tune)
        return keys | {key.split(".")[0] for key in keys}


def load(name: str) -> Study:
    """Study of experiments/<name>.yaml, or of a path to such a file; refuses a file that is missing or not a study."""
    folder = root() / "experiments"
    path = expanded(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not path.is_file():
        if path.parent == folder:
            one_of("study", name, [known.stem for known in folder.glob("*.yaml")])
        raise Refused(f"{path}: no such file. Name a study's file, or a study of {folder}.")
    if path.stem.startswith("."):
        raise Refused(
            f"{path}: a study's name may not start with a dot, because its folder has the same name. Rename the file."
        )
    try:
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise TypeError("it has no keys")
        for key in content:
            one_of(f"{path}: key", str(key), [one.name for one in fields(Study) if one.name != "name"])
        return Study.of({"name": path.stem} | content)
    except UnicodeDecodeError:
        raise Refused(not_text(path)) from None
    except (yaml.YAMLError, TypeError) as error:
        why = " ".join(str(error).split())
        raise Refused(f"{path}: not a study: {why}. See experiments/quickstart.yaml for the keys.") from None


def with_overrides(study: Study, extra: Sequence[str]) -> Study:
    """The study with the overrides `extra` named in its question; refuses overrides that would have no effect."""
    for word in extra:
        name = word.lstrip("+~").split("=")[0]
        if name == "seed":
            raise Refused(f"{word}: a study runs seeds 0 to N-1; set N with --seeds.")
        if name in study.chosen_settings:
            raise Refused(f"{word}: study {study.name!r} sets this itself for each cell; change a copy of its file.")
    words = [word for word in extra if not word.startswith(("results.", "executor", "cohort.dir="))]
    return replace(study, question=f"{study.question} (with {', '.join(words)})") if words else study
