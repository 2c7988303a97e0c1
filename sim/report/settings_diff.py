"""The settings of the methods of a study: those that differ, and those that all runs share."""

import json
from collections.abc import Mapping

from sim.study.results import Json, StudyRecords

FOLLOWS_SEED = "(follows the seed)"

Flat = dict[str, str]  # "algorithm.mu" -> "0.01"


def flat(settings: Json, head: str = "") -> Flat:
    """Nested settings under dotted names, without the seed; the entry `x.is` of a group becomes `x`."""
    found: Flat = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{head}{name}.")
        elif head or name != "seed":
            found[f"{head}{name}".removesuffix(".is")] = value if isinstance(value, str) else json.dumps(value)
    return found


def differing(records: StudyRecords) -> tuple[dict[tuple[str, str], Flat], Flat]:
    """Settings in which runs differ, for each (scenario, method), and those that all runs share.

    A setting that only some runs have counts as differing, such as `mu` of FedProx. The value of one that changes with
    the seed is FOLLOWS_SEED.
    """
    cells: dict[tuple[str, str], Flat] = {}
    for row in records.runs[["scenario", "method", "run"]].itertuples(index=False, name=None):
        found = flat(records.settings.get(row[2], {}))
        first = cells.setdefault((row[0], row[1]), found)
        first |= {name: FOLLOWS_SEED for name, value in found.items() if first.get(name) != value}
    every = list(cells.values())
    shared = {name: value for name, value in every[0].items() if all(one.get(name) == value for one in every)}
    return {
        cell: {name: value for name, value in found.items() if name not in shared} for cell, found in cells.items()
    }, shared
