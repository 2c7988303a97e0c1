"""An experiment from keywords, which are the keys of the command line and are checked in the same way."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
from hydra.core.override_parser.types import Quote, QuotedString

from sim.checks import Refused, brief
from sim.cohort.in_memory import InMemory
from sim.cohort.outcomes import Binary, Categorical, Count, Numeric, Survival
from sim.config.compose import entries, own_keys
from sim.config.compose import experiment as from_words
from sim.config.experiment import Experiment
from sim.config.groups import CHAINS, GROUPS
from sim.config.plugins import KINDS

TASKS = {Binary: "classify", Categorical: "multiclass", Numeric: "regress", Count: "poisson", Survival: "hazard"}


def experiment(settings: Mapping[str, Any] | None = None, /, **keywords: Any) -> Experiment:
    """The experiment of these settings; raises Refused.

    Keys are those of the command line: `experiment({"local.lr": 0.1}, algorithm="fedprox", rounds=20)`. A mapping as a
    value holds the settings below its key, `local={"lr": 0.1}`; in a group `is` names the entry, `algorithm={"is":
    "fedprox", "mu": 0.1}`. A cohort may be the result of `fedtrial.cohort`, and an entry of a group may be an object of
    its class.
    """
    given = {**(settings or {}), **keywords}
    twice = sorted(set(settings or {}) & set(keywords))
    if twice:
        raise Refused(f"{twice[0]}: given twice, in the mapping and as a keyword. Leave one out.")
    placed = [key for key in given if key.split(".")[0] == "results"]
    if placed:
        raise Refused(
            f"{placed[0]}: the folder is given when the experiment is run: fedtrial.run(experiment, dir=FOLDER)."
        )
    objects = {key: value for key, value in given.items() if is_entry(key, value)}
    plain = {key: value for key, value in given.items() if key not in objects}
    for key in plain:
        if key.split(".")[0] in objects:
            raise Refused(f"{key}: {key.split('.')[0]} is already an object with its own settings. Set it there.")
    cohort = objects.get("cohort")
    if isinstance(cohort, InMemory) and not {"task", "scenario"} & set(plain):
        plain["task"] = TASKS[type(next(iter(cohort.held.outcomes.values())))]
    return replace(from_words(words(plain)), **objects)


def is_entry(key: str, value: object) -> bool:
    """Whether a value is an object of an entry's class; refuses it where a list of names is expected."""
    if key in CHAINS and isinstance(value, KINDS[key]):
        raise Refused(f"{key}: several entries are given as a list of names, in order: {key}=['clip', 'topk'].")
    return key in KINDS and isinstance(value, KINDS[key])


def words(settings: Mapping[str, Any]) -> list[str]:
    """The words of a command line for settings; groups come first, because they determine the further keys."""
    whole = [pair for key, value in settings.items() for pair in chosen(key, value)]
    groups = [f"{key}={written(key, value)}" for key, value in whole if key in GROUPS]
    config = entries(tuple(groups))
    below = [pair for key, value in whole if key not in GROUPS for pair in flat(key, value)]
    return groups + [f"{'++' if own_keys(config, key) else ''}{key}={written(key, value)}" for key, value in below]


def chosen(key: str, value: object) -> Iterator[tuple[str, object]]:
    """A key and its value; of `algorithm={"is": "fedprox", "mu": 0.1}` the entry, and its settings by themselves."""
    if key in GROUPS and isinstance(value, Mapping):
        if "is" in value:
            yield key, value["is"]
        yield from ((f"{key}.{name}", part) for name, part in value.items() if name != "is")
    else:
        yield key, value


def flat(key: str, value: object) -> Iterator[tuple[str, object]]:
    """Full keys of single values and lists below a key."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from flat(f"{key}.{name}", part)
    else:
        yield key, value


def written(key: str, value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | PurePath):
        return quoted(str(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(written(key, part) for part in value)}]"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise Refused(
        f"{key}={brief(value)}: {kind} cannot be the value of a setting. Allowed: numbers, words, true and false, "
        "lists and "
        "mappings; for several values see fedtrial.sweep."
    )


def quoted(word: str) -> str:
    """A word in quotes, unless it is a name."""
    if word.isidentifier() and word.isascii() and word.lower() not in ("null", "true", "false", "nan", "inf"):
        return word
    return str(QuotedString(word, Quote.single).with_quotes())
