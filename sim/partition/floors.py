"""Floors: the rows and events below which a site is refused, and what the refusal says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.cohort.table import Binary, Cohort
from sim.partition.base import Partition

SHOWN = 5  # sites that a refusal names


@dataclass(frozen=True)
class Floors:
    """Least rows and events of a site; `both` asks as many non-events, which a yes-or-no outcome needs."""

    rows: int
    events: int
    both: bool

    def lack(self, names: NDArray[np.str_], site: NDArray[np.int64], events: NDArray[np.bool_]) -> "Lack":
        """What sites [S] lack when rows [R] with `events` [R] lie at `site` [R]."""
        rows = np.bincount(site, minlength=len(names))
        happened = np.bincount(site[events], minlength=len(names))
        return Lack(self, names, rows, np.minimum(happened, rows - happened) if self.both else happened)


def floors(settings: Partition, cohort: Cohort, outcome: str) -> Floors:
    """Floors of a partition's settings for that outcome."""
    return Floors(settings.min_rows, settings.min_events, isinstance(cohort.outcome(outcome), Binary))


@dataclass(frozen=True)
class Lack:
    """Rows [S] and events [S] (the rarer class, where both count) of sites [S] against their floors."""

    floors: Floors
    names: NDArray[np.str_]
    rows: NDArray[np.int64]
    events: NDArray[np.int64]

    @property
    def sites(self) -> int:
        """Sites below a floor."""
        return int(((self.rows < self.floors.rows) | (self.events < self.floors.events)).sum())

    def told(self) -> str:
        """`3 of 64 sites with no event (site-04, site-17, site-40)`, for each floor that is missed."""
        few = self.floors.events
        event = "no event or no non-event" if self.floors.both else "no event"
        if few > 1:
            event = f"fewer than {few} events{' or non-events' if self.floors.both else ''}"
        parts = [
            f"{short.sum()} of {len(self.names)} sites with {words} ({listed(self.names[short])})"
            for words, short in (
                (f"fewer than {self.floors.rows} row{'s' * (self.floors.rows > 1)}", self.rows < self.floors.rows),
                (event, self.events < few),
            )
            if short.any()
        ]
        return " and ".join(parts)

    def remedies(self) -> list[str]:
        """Settings of the floors under which these sites would do; a site without a row is never one."""
        if self.rows.min() < 1:
            return []
        found = [f"partition.min_rows={self.rows.min()}"] if self.rows.min() < self.floors.rows else []
        return found + ([f"partition.min_events={self.events.min()}"] if self.events.min() < self.floors.events else [])


def listed(names: NDArray[np.str_]) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN].tolist()) + more
