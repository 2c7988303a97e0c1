"""The settings of the methods of a study: those that differ, and those that all runs share."""

from sim.records.settings import Flat, flat
from sim.study.results import StudyRecords

FOLLOWS_SEED = "(follows the seed)"


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
