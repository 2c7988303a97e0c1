"""What the methods of a study were set to, and in what they differ."""

import json
from collections.abc import Mapping

from sim.study.results import Json, StudyRecords

FOLLOWS = "(follows the seed)"

Flat = dict[str, str]  # "algorithm.mu" -> "0.01"


def flat(settings: Json, head: str = "") -> Flat:
    """Nested settings as dotted names; the seed is left out. A group's entry `x.is` becomes `x`."""
    found: Flat = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{head}{name}.")
        elif head or name != "seed":
            found[f"{head}{name}".removesuffix(".is")] = value if isinstance(value, str) else json.dumps(value)
    return found


def differing(records: StudyRecords) -> tuple[dict[tuple[str, str], Flat], Flat]:
    """Settings in which runs differ, for each (scenario, method), and those that all runs share.

    A setting that only some runs have counts as differing: mu belongs to FedProx. One that changes with the seed is
    named so.
    """
    cells: dict[tuple[str, str], Flat] = {}
    for row in records.runs[["scenario", "method", "run"]].itertuples(index=False, name=None):
        found = flat(records.settings.get(row[2], {}))
        first = cells.setdefault((row[0], row[1]), found)
        first |= {name: FOLLOWS for name, value in found.items() if first.get(name) != value}
    every = list(cells.values())
    shared = {name: value for name, value in every[0].items() if all(one.get(name) == value for one in every)}
    return {
        cell: {name: value for name, value in found.items() if name not in shared} for cell, found in cells.items()
    }, shared
