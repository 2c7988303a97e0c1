"""The table of all entries, as `fedtrial methods` prints it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sim.catalogue.costs import costs, messages, tier
from sim.catalogue.entry import AXES, entries
from sim.verify.certificates import CHECKS, Checks, properties


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


def table(axes: Mapping[str, Mapping[str, type]] = AXES, proofs: Mapping[str, Checks] = CHECKS) -> Iterator[Row]:
    """Rows in the order of the axes."""
    for entry in entries(axes=axes):
        cost = costs(entry)
        yield Row(
            entry.axis,
            entry.name,
            entry.does,
            entry.parts.get("Source", "").replace("\n", " "),
            *messages(entry),
            () if cost is None else cost.site,
            tier(entry),
            len(list(properties(entry.axis, entry.name, proofs))),
        )
