"""Floors: the rows and events below which a site is refused, and what the refusal says."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools, Ints, Names
from sim.cohort.outcomes import Survival
from sim.cohort.table import Cohort
from sim.partition.base import Partition

SHOWN = 5  # sites that a refusal names
NO_OR_YES = ("no event", "event")  # classes of an outcome that happens or not


@dataclass(frozen=True)
class Floors:
    """Least rows of a site, and least rows of each of two classes there; of a survival outcome, least events.

    A site with rows of one class alone cannot tell it from another, and no more can one with a class of too few. Which
    two of several classes is left open: a hospital need not see every cancer.
    """

    rows: int
    events: int
    classes: tuple[str, ...]  # of the outcome; none where events are counted alone

    def lack(self, names: Names, site: Ints, label: Ints) -> "Lack":
        """What sites [S] lack when rows [R] of class `label` [R] (1 = event) lie at `site` [R]."""
        kinds = len(self.classes or NO_OR_YES)
        held = np.bincount(site * kinds + label, minlength=len(names) * kinds).reshape(len(names), kinds)
        second = np.partition(held, -2, axis=1)[:, -2] if self.classes else held[:, 1]
        return Lack(self, names, held.sum(1), second)


def floors(settings: Partition, cohort: Cohort, outcome: str) -> Floors:
    """Floors of a partition's settings for that outcome."""
    alone = isinstance(cohort.outcome(outcome), Survival)
    return Floors(settings.min_rows, settings.min_events, () if alone else cohort.levels(outcome) or NO_OR_YES)


@dataclass(frozen=True)
class Lack:
    """Rows [S] and events [S] (where classes count, rows of the second commonest) of sites [S] against their floors."""

    floors: Floors
    names: Names
    rows: Ints
    events: Ints

    @property
    def short(self) -> Bools:
        """Which sites are below a floor, [S]."""
        return (self.rows < self.floors.rows) | (self.events < self.floors.events)

    @property
    def sites(self) -> int:
        """Sites below a floor."""
        return int(self.short.sum())

    def told(self) -> str:
        """`3 of 64 sites with no event (site-04, site-17, site-40)`, for each floor that is missed."""
        few, classes = self.floors.events, self.floors.classes
        if classes not in ((), NO_OR_YES):
            event = f"fewer than {few} rows of a second class" if few > 1 else "one class alone"
        elif few > 1:
            event = f"fewer than {few} events{' or non-events' if classes else ''}"
        else:
            event = "no event or no non-event" if classes else "no event"
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


def listed(names: Names) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN].tolist()) + more
