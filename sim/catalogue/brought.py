"""Entries and certificates of plugins, in addition to our own."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sim.checks import Refused
from sim.config.plugins import Plugin, found, imported, plugins, unknown_groups
from sim.verify.certificates import CHECKS, Checks
from sim.verify.check import Certificate, Check

Tables = Mapping[str, Mapping[str, type]]  # axis -> name -> class


class EntryPoint(NamedTuple):
    """An entry point in one of our groups, for display."""

    group: str  # of entry points
    name: str
    source: str  # distribution and version
    wrong: str  # why it cannot be used; empty if it can


def joined(tables: Tables) -> dict[str, dict[str, type]]:
    """Tables of axes with the entries of plugins that can be used."""
    whole = {axis: dict(table) for axis, table in tables.items()}
    for plugin, kind in found():
        if plugin.group in whole and isinstance(kind, type):
            whole[plugin.group][plugin.name] = kind
    return whole


def sources() -> dict[tuple[str, str], str]:
    """Distribution of every entry of a plugin, by group and name."""
    return {(one.group, one.name): one.source for one in plugins() if one.group}


def proofs() -> Mapping[str, Checks]:
    """The checks of every axis, including those of plugins."""
    whole: dict[str, dict[str, Callable[[], Iterator[Check[Any]]]]] = {axis: dict(own) for axis, own in CHECKS.items()}
    for axis, name, plugin in proven():
        whole[axis][name] = checks_of(plugin)
    return whole


def proven() -> Iterator[tuple[str, str, Plugin]]:
    """Axis and name of an entry of a plugin, and the certificate from its distribution."""
    entries = [one for one in plugins() if one.group in CHECKS]
    for certificate in plugins():
        for entry in entries:
            if not certificate.group and (certificate.name, certificate.owner) == (entry.name, entry.owner):
                yield entry.group, entry.name, certificate


def checks_of(plugin: Plugin) -> Callable[[], Iterator[Check[Any]]]:
    """The function behind the entry point of a certificate; if it breaks, one check that fails and says why."""

    def checks() -> Iterator[Check[Any]]:
        try:
            yield from imported(plugin)()  # type: ignore[operator]
        except Exception as error:
            why = str(error) if isinstance(error, Refused) else str(plugin.refusal(f"{type(error).__name__}: {error}"))
            yield Check(why, lambda entry: math.inf, 0.0)

    return checks


def broken(axes: Tables, only: str = "") -> Iterator[Certificate]:
    """A certificate that fails for every entry of a plugin that cannot be used; only: those of one name.

    A name in the axes belongs to the entry there, regardless of plugins.
    """
    taken = {name for table in axes.values() for name in table}
    for plugin, kind in found():
        asked = only in ("", plugin.name) and not (only and only in taken)
        if plugin.group in axes and asked and isinstance(kind, Refused):
            yield Certificate(plugin.group, plugin.name, f"cannot be used: {kind}", math.inf, 0.0)


def refuse_broken(name: str, axes: Tables) -> None:
    """Refuse, with the reason, a name that is in no axis but belongs to a plugin's unusable entry."""
    if any(name in table for table in axes.values()):
        return
    for plugin, kind in found():
        if plugin.name == name and isinstance(kind, Refused):
            raise kind


def entry_points() -> Iterator[EntryPoint]:
    """Every installed entry point in one of our groups, and its fault, if any."""
    for plugin, kind in found():
        yield EntryPoint(plugin.point.group, plugin.name, plugin.source, "" if isinstance(kind, type) else str(kind))
    used = {id(plugin) for _, _, plugin in proven()}
    for plugin in plugins():
        if not plugin.group:
            wrong = "" if id(plugin) in used else f"its distribution provides no entry {plugin.name!r} of an axis."
            yield EntryPoint(plugin.point.group, plugin.name, plugin.source, wrong and str(plugin.refusal(wrong)))
    for group in unknown_groups():
        yield EntryPoint(group, "", "", "not a group of fedtrial; see docs/plugins.md.")
