"""One entry of an axis as its class describes it: docstring, settings and their ranges."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from typing import Any

from sim.checks import one_of
from sim.engine.references import REFERENCES
from sim.verify.certificates import TABLES

HEADINGS = ("Source", "Rule", "Values", "Pitfalls")
AXES: dict[str, Mapping[str, type]] = {**TABLES, "algorithm": {**TABLES["algorithm"], **REFERENCES}}


EXAMPLES = {  # of entries that the defaults of all else do not suit
    "moon": ["algorithm=moon", "net=mlp"],
    "fairfed": ["algorithm=fairfed", "algorithm.group=race", "algorithm.level=black"],
    "fedfb": ["algorithm=fedfb", "algorithm.group=race", "algorithm.level=black"],
    "cox_webdisco": ["algorithm=cox_webdisco", "cohort=lung", "task=cox", "partition=natural"],
    **{name: [f"algorithm={name}", "task=cox"] for name in ("odac", "odach")},
    "cox_iptw": ["algorithm=cox_iptw", "algorithm.treatment=treated", "task=cox", "task.without=[treated_marker]"],
    "survivalforest": ["algorithm=survivalforest", "task=cox", "cohort=lung", "partition=natural"],
    "lasso": ["algorithm=lasso", "rounds=80"],
    "gaussian": ["uplink=[clip,gaussian]", "weighting=sites"],
    "treenoise": ["uplink=[clip,treenoise]", "weighting=sites"],
    "bulyan": ["aggregator=bulyan", "scenario=rare24"],
    "krum": ["aggregator=krum", "scenario=rare24"],
    "multikrum": ["aggregator=multikrum", "scenario=rare24"],
    "powersgd": ["uplink=[powersgd]", "net=mlp"],
    "fedbn": ["personal=fedbn", "net=mlpbn"],
    "powerofchoice": ["system=powerofchoice", "scenario=rare24", "system.candidates=12", "system.sites=6"],
} | {name: [f"personal={name}", "net=mlp"] for name in ("fedper", "fedrep", "lgfedavg", "fedbabu")}


@dataclass(frozen=True)
class Setting:
    """One field of an entry."""

    name: str
    default: str
    note: str  # range, meaning and unit, from the comment beside the field


@dataclass(frozen=True)
class Entry:
    """One value of an axis."""

    axis: str
    name: str
    kind: type[Any]

    @property
    def key(self) -> str:
        """How it is chosen on the command line."""
        return f"uplink=[{self.name}]" if self.axis == "uplink" else f"{self.axis}={self.name}"

    @property
    def does(self) -> str:
        """Its first sentence."""
        return self.parts[""].partition("\n\n")[0].replace("\n", " ")

    @property
    def more(self) -> str:
        """What its docstring says between the first sentence and the first heading."""
        return self.parts[""].partition("\n\n")[2]

    @property
    def parts(self) -> dict[str, str]:
        """Its docstring by heading; "" is what stands before the first."""
        text = re.split(rf"^({'|'.join(HEADINGS)}): ", inspect.cleandoc(self.kind.__doc__ or ""), flags=re.MULTILINE)
        found = {"": text[0].strip()}
        return found | {heading: plain(part) for heading, part in zip(text[1::2], text[2::2], strict=True)}

    @property
    def settings(self) -> list[Setting]:
        """Its fields, those of the axis's base class among them."""
        notes = comments(self.kind)
        return [Setting(one.name, default(one), notes.get(one.name, "") or choices(one)) for one in fields(self.kind)]

    @property
    def example(self) -> list[str]:
        """Settings of an example run, with the entries that it requires."""
        return EXAMPLES.get(self.name, [self.key])

    @property
    def path(self) -> str:
        """Key of its settings, up to the last dot."""
        return f"uplink.{self.name}" if self.axis == "uplink" else self.axis


def entries(only: str = "", axes: Mapping[str, Mapping[str, type]] = AXES) -> Iterator[Entry]:
    """All entries in the order of the axes; only: those of one name. Refuses a name that no axis has."""
    if only:
        one_of("NAME", only, {name for table in axes.values() for name in table})
    for axis, table in axes.items():
        for name, kind in table.items():
            if only in ("", name):
                yield Entry(axis, name, kind)


def plain(part: str) -> str:
    """A paragraph without the indent of its later lines, beginning with a capital."""
    text = re.sub(r"\n[ ]+", "\n", part.strip())
    return text[:1].upper() + text[1:]


def default(one: "Field[Any]") -> str:
    """Default of a field as it is written in a config."""
    value = one.default_factory() if one.default_factory is not MISSING else one.default
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else '""' if value == "" else str(value)


def choices(one: "Field[Any]") -> str:
    """What each value of a field that takes words means, from the comments beside them."""
    if not isinstance(one.default, Enum):
        return ""
    kind = type(one.default)
    words = dict(re.findall(r'^    \w+ = "(\w+)"(?:  # (.+))?$', inspect.getsource(kind), re.MULTILINE))
    return "; ".join(f"{word.value}: {words[word.value]}" if words.get(word.value) else word.value for word in kind)


def comments(kind: type[Any]) -> dict[str, str]:
    """Comment beside each field of a dataclass, or on the lines after it; that of the most derived class is used."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        names = set(vars(base).get("__annotations__", ()))
        for line in inspect.getsource(base).splitlines():
            match = re.match(r"\s+(\w+): .*?  # (.+)$", line)
            if match and match[1] in names:
                found[match[1]] = match[2]
    return found
