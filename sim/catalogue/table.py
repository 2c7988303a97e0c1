"""The table of all entries, as `fedtrial methods` prints it."""

from collections.abc import Iterator
from typing import NamedTuple

from sim.catalogue.costs import costs, messages, tier
from sim.catalogue.entry import entries
from sim.verify.certificates import properties


class Row(NamedTuple):
    """One entry of an axis in short."""

    axis: str
    name: str
    does: str
    source: str  # authors and year
    down: str  # models per site and round, or in words; a dash where nothing is exchanged
    up: str
    site: tuple[str, ...]  # what a site keeps
    tier: str
    proofs: int  # certificates


def table(only: str = "") -> Iterator[Row]:
    """Rows in the order of the axes; only: entries of one name."""
    for entry in entries(only):
        cost = costs(entry)
        yield Row(
            entry.axis,
            entry.name,
            entry.does,
            entry.parts.get("Source", "").replace("\n", " "),
            *messages(entry),
            () if cost is None else cost.site,
            tier(entry),
            len(list(properties(entry.axis, entry.name))),
        )
