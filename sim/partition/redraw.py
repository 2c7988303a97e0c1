"""Dealing patients: each has random numbers of their own, and a draw that leaves a site short is drawn again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.partition.base import Sites
from sim.partition.minimums import NO_OR_YES, Floors
from sim.random import key, scatter

DRAWS = 100


@dataclass(frozen=True)
class People:
    """Patients of a cohort, N of them, in the order of their hash, so that the order of the table does not matter.

    word   uint64 [N]: hash of the patient, which keys their random numbers
    kind   int [N]: class of the patient, the highest of their rows; 1 where the outcome happened in one of them
    back   int [R]: patient of every row
    label  int [R]: class of the row; 1 where the outcome happened
    names  of the classes, [C]
    """

    word: NDArray[np.uint64]
    kind: Ints
    back: Ints
    label: Ints
    names: tuple[str, ...]

    def shuffled(self, seed: int, *path: int | str) -> Ints:
        """Patients [N] in the order of one random number each."""
        return np.argsort(scatter(key(seed, "partition", *path), self.word), kind="stable")


Draw = Callable[[int], Ints]  # number of the draw -> site [N] of every patient


@dataclass(frozen=True)
class Words:
    """How a partition speaks of itself when it refuses."""

    title: str  # "Dirichlet(alpha=0.1)"
    remedies: tuple[str, ...]  # what the user can do besides lowering a floor


def people(cohort: Cohort, outcome: str) -> People:
    """Patients of a cohort; one with several rows counts with the highest class, so with the event if a row does."""
    label, whose = cohort.classes(outcome), cohort.patients
    names = cohort.levels(outcome) or NO_OR_YES
    return People(whose.word[whose.first], whose.highest(label), whose.back, label, names)


def cut(order: Ints, shares: Floats, site: Ints) -> None:
    """Write into `site` [N] where the patients in `order` [n] go: consecutive pieces in proportion to `shares` [S]."""
    # The last end is left out: it is all of them, whatever rounding says.
    ends = np.floor(np.cumsum(shares)[:-1] * len(order))
    site[order] = np.searchsorted(ends, np.arange(len(order)), side="right")


def numbered(sites: int) -> Sites:
    """Names `site-01` and so on, [S], as wide as the number of sites needs."""
    width = max(2, len(str(sites)))
    return np.array([f"site-{number:0{width}d}" for number in range(1, sites + 1)])


def redraw(group: People, sites: int, floors: Floors, draw: Draw, words: Words, draws: int = DRAWS) -> Sites:
    """Site of every row, str [R], by the first of at most `draws` draws that leaves no site below a floor."""
    possible(group, sites, floors)
    names, best = numbered(sites), None
    for number in range(draws):
        site = draw(number)[group.back]
        lack = floors.lack(names, site, group.label)
        if not lack.sites:
            return names[site]
        best = lack if best is None or lack.sites < best.sites else best
    assert best is not None
    settings = " ".join(best.remedies())
    ways = [*words.remedies, "lower partition.sites", *([f"set {settings}"] if settings else [])]
    raise Refused(
        f"{words.title} left at best {best.told()} after {draws} draw{'s' * (draws > 1)}; "
        f"{', '.join(ways[:-1])}{',' * (len(ways) > 2)}{' or ' * (len(ways) > 1)}{ways[-1]}."
    )


def possible(group: People, sites: int, floors: Floors) -> None:
    """Refuse at once what no draw can give: more sites, or higher floors, than there are patients, rows or events."""
    held = np.bincount(group.label, minlength=len(group.names))
    rarer = int(held.sum() - held.max() if floors.classes else held[1])
    kind = "rows of the rarer class" if len(held) == 2 else "rows outside the commonest class"
    for what, floor, there, setting in (
        ("patients", 1, len(group.word), ""),
        ("rows", floors.rows, len(group.label), "partition.min_rows"),
        (kind if floors.classes else "events", floors.events, rarer, "partition.min_events"),
    ):
        if sites * floor > there:
            remedy = f" or {setting}" if setting else ""
            raise Refused(
                f"partition.sites={sites}: at least {floor} a site makes {sites * floor} {what}, and the cohort has "
                f"{there}. Lower partition.sites{remedy}."
            )
