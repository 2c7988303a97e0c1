"""Entries of groups that other distributions provide, as entry points: `fedtrial.algorithms`, `fedtrial.uplinks`, ...

Their names are read from metadata, in some milliseconds; a module is imported when one of its entries is chosen, or
listed with its description. A broken plugin therefore affects only runs that name it.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.assets import root
from sim.checks import Refused, brief
from sim.cohort.table import Source
from sim.config.groups import GROUPS
from sim.methods.aggregators.base import Aggregator
from sim.methods.algorithms.base import Method
from sim.methods.attacks.base import Attack
from sim.methods.contract import Role
from sim.methods.personal.base import Personal
from sim.methods.servers.base import Server
from sim.methods.systems.base import System
from sim.methods.uplink.base import Transform
from sim.partition.base import Partition
from sim.tasks.nets import Net
from sim.tasks.task import TaskSettings

NAME = re.compile(r"\w[\w-]*")  # of an entry
KINDS: dict[str, type] = {  # group -> base class of its entries
    "cohort": Source,
    "partition": Partition,
    "task": TaskSettings,
    "net": Net,
    "algorithm": Method,
    "uplink": Transform,
    "attack": Attack,
    "aggregator": Aggregator,
    "server": Server,
    "personal": Personal,
    "system": System,
}
POINTS = {f"fedtrial.{group if group == 'personal' else f'{group}s'}": group for group in KINDS}
CERTIFICATES = "fedtrial.certificates"
KNOWN = {*POINTS, CERTIFICATES}
ALLOWED = "a whole number, a number, true or false, a word, an Enum, and lists, dicts and dataclasses of these"


@dataclass(frozen=True)
class Plugin:
    """An entry of a group that a distribution's metadata announces."""

    group: str  # "" for a certificate
    name: str
    point: EntryPoint

    @property
    def source(self) -> str:
        """Distribution and version: `fedtrial-fedpd 0.1.0`."""
        whose = self.point.dist
        return "an unnamed distribution" if whose is None else f"{whose.name} {whose.version}"

    @property
    def owner(self) -> str:
        """Name of the distribution."""
        return "" if self.point.dist is None else self.point.dist.name

    def refusal(self, why: str) -> Refused:
        """A refusal that names the distribution and entry point, and the reason."""
        return Refused(f"{self.source}, entry point {self.point.group}: {self.name} = {self.point.value}: {why}")


@cache
def plugins() -> tuple[Plugin, ...]:
    """Entries of all groups that installed distributions announce, by group and name; none of them is imported."""
    points = entry_points()
    named = {(one.group, one.name, one.value): one for group in KNOWN for one in points.select(group=group)}
    return tuple(Plugin(POINTS.get(one.group, ""), one.name, one) for _, one in sorted(named.items()))


def unknown_groups() -> list[str]:
    """Groups of entry points with our prefix that do not exist, such as `fedtrial.algorithm`."""
    return sorted(group for group in entry_points().groups - KNOWN if group.startswith("fedtrial."))


def brought(group: str) -> list[str]:
    """Names that plugins add to a group."""
    return list(dict.fromkeys(one.name for one in plugins() if one.group == group and NAME.fullmatch(one.name)))


def choose(group: str, name: str) -> None:
    """Add a plugin's entry to its group; does nothing for our own or unknown names. Refuses a broken one."""
    if group not in KINDS or name in OURS[group]:
        return
    for one in plugins():
        if (one.group, one.name) == (group, name):
            GROUPS[group][name] = load(one)


def choose_all() -> None:
    """Add every entry of plugins to its group, except broken ones."""
    for plugin, kind in found():
        if isinstance(kind, type):
            GROUPS[plugin.group][plugin.name] = kind


def entry_name(kind: type) -> str:
    """The name of a class in its group; empty if it is in none.

    A process that got an object of a plugin from another one has not chosen the entry yet.
    """
    if not listed(kind) and kind.__module__.partition(".")[0] != "sim":
        choose_all()
    return listed(kind)


def listed(kind: type) -> str:
    """The name of a class in its group; empty if it is not in one yet."""
    return next((name for entries in GROUPS.values() for name, entry in entries.items() if entry is kind), "")


@cache
def load(plugin: Plugin) -> type:
    """The class of an entry point; raises Refused if it cannot be an entry of the group."""
    refuse_name(plugin)
    kind = imported(plugin)
    base = KINDS[plugin.group]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise plugin.refusal(
            f"{brief(kind)} is no class of {plugin.group}s. Derive it from {base.__module__}.{base.__qualname__}."
        )
    if "__dataclass_fields__" not in vars(kind):
        raise plugin.refusal("its fields are its settings. Write @dataclass above the class.")
    if issubclass(kind, (Role, Server)) and kind.__name__.lower() != plugin.name:
        raise plugin.refusal(f"messages call it {kind.__name__.lower()}, after its class. Give both one name.")
    refuse_fields(plugin, kind)
    return kind


def imported(plugin: Plugin) -> object:
    """The object that an entry point names; refuses one that cannot be imported."""
    try:
        return plugin.point.load()
    except (Exception, SystemExit) as error:
        raise plugin.refusal(
            f"it cannot be imported ({type(error).__name__}: {' '.join(str(error).split())}). Fix the distribution, "
            "install what it needs, or uninstall it."
        ) from error


def refuse_name(plugin: Plugin) -> None:
    """Refuse a name that no config could hold, or that another entry has."""
    if not NAME.fullmatch(plugin.name):
        raise plugin.refusal("allowed a name of letters, digits, _ and -.")
    ours = [group for group, entries in OURS.items() if plugin.name in entries]
    if ours or (root() / "configs" / plugin.group / f"{plugin.name}.yaml").is_file():
        raise plugin.refusal(f"{(ours or [plugin.group])[0]}={plugin.name} is fedtrial's own. Choose another name.")
    others = [one for one in plugins() if one.group and one.name == plugin.name and one is not plugin]
    if others:
        raise plugin.refusal(
            f"{others[0].source} has an entry point of that name too, {others[0].point.group}: "
            f"{others[0].point.value}. Rename one, or uninstall one."
        )


def refuse_fields(plugin: Plugin, kind: type) -> None:
    """Refuse settings without a default, and those that a config cannot hold."""
    for one in fields(kind):
        if one.default is MISSING and one.default_factory is MISSING:
            raise plugin.refusal(f"field {one.name!r} has no default. Give it one, so that the entry can be listed.")
    try:
        OmegaConf.structured(kind)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        said = " ".join(str(error).split("\n")[0].split())
        raise plugin.refusal(f"a config cannot hold its fields ({said}). Allowed: {ALLOWED}.") from None


def found() -> Iterator[tuple[Plugin, type | Refused]]:
    """Every entry that plugins provide, with its class, or with the reason why it cannot be used."""
    for one in plugins():
        if one.group:
            try:
                yield one, load(one)
            except Refused as refusal:
                yield one, refusal


OURS = {group: frozenset(entries) for group, entries in GROUPS.items()}
