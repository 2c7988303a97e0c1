"""Floors: the fewest rows and events that a site may have, and what a refusal says of sites below them."""

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
    """Fewest rows of a site, and fewest rows of each of two classes there; for a survival outcome, fewest events.

    A site whose rows are all, or all but a few, of one class cannot learn to tell it from another. Any two of several
    classes will do: a hospital need not see every cancer.
    """

    rows: int
    events: int
    classes: tuple[str, ...]  # of the outcome; empty where only events are counted

    def lack(self, names: Names, site: Ints, label: Ints) -> "Lack":
        """Rows and events of the sites `names` [S] against the floors; label (1 = event) and site of rows, int [R]."""
        kinds = len(self.classes or NO_OR_YES)
        count = np.bincount(site * kinds + label, minlength=len(names) * kinds).reshape(len(names), kinds)
        second = np.partition(count, -2, axis=1)[:, -2] if self.classes else count[:, 1]
        return Lack(self, names, count.sum(1), second)


def floors(settings: Partition, cohort: Cohort, outcome: str) -> Floors:
    """Floors that a partition's settings set for an outcome."""
    survival = isinstance(cohort.outcome(outcome), Survival)
    return Floors(settings.min_rows, settings.min_events, () if survival else cohort.levels(outcome) or NO_OR_YES)


@dataclass(frozen=True)
class Lack:
    """Rows and events of every site, [S] each, against the floors.

    Where the floor is of classes, `events` are the rows of the second commonest class of the site.
    """

    floors: Floors
    names: Names
    rows: Ints
    events: Ints

    @property
    def short(self) -> Bools:
        """Whether a site is below a floor, [S]."""
        return (self.rows < self.floors.rows) | (self.events < self.floors.events)

    @property
    def sites(self) -> int:
        """Number of sites below a floor."""
        return int(self.short.sum())

    def in_words(self) -> str:
        """Such as `3 of 64 sites with no event (site-04, site-17, site-40)`, joined over the floors that are missed."""
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
        """Settings of the floors that these sites would meet; none where a site has no row, which no floor allows."""
        if self.rows.min() < 1:
            return []
        found = [f"partition.min_rows={self.rows.min()}"] if self.rows.min() < self.floors.rows else []
        return found + ([f"partition.min_events={self.events.min()}"] if self.events.min() < self.floors.events else [])


def listed(names: Names) -> str:
    """The first few names, and the number of those left out."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN].tolist()) + more
