"""Pathological skew: every site holds a few classes and none of the others."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools, Ints
from sim.checks import Refused, within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites
from sim.partition.columns import classes
from sim.partition.minimums import floors
from sim.partition.redraw import DRAWS, Words, people, possible, redraw
from sim.random import key, scatter


@dataclass
class Pathological(Partition):
    """Every site owns exactly `classes` classes; each class is split evenly among its owners.

    Site i owns class i mod C, and classes - 1 others at random: NIID-Bench's "#C = k" (Li et al., ICDE 2022). Where
    there are fewer sites than classes, those that nobody owns yet come before the random ones, so that no patient is
    left out; NIID-Bench drops them. A site of one class is the point, so `min_events` is off until it is set.
    """

    min_events: int = 0
    sites: int = 4  # >= 1
    classes: int = 1  # 1..number of classes; a label of two classes leaves 1 as the only skew
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.classes", self.classes, 1)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)
        code, names = classes(cohort, outcome, self.by, group)
        total = len(names)
        if self.classes > total:
            raise Refused(
                f"partition.classes={self.classes}: allowed [1, {total}], the classes of {self.by or outcome!r}."
            )
        if self.sites * self.classes < total:
            raise Refused(
                f"partition.sites={self.sites} with partition.classes={self.classes} own at most "
                f"{self.sites * self.classes} of {total} classes. Raise partition.classes or partition.sites."
            )
        possible(group, self.sites, floors(self, cohort, outcome))

        def draw(number: int) -> Ints:
            own = owners(self.sites, self.classes, total, key(seed, "partition", "pathological", number))
            # Each class: its patients in random order, in even pieces, to its owners in order.
            order = group.shuffled(seed, "pathological", number)
            order = order[np.argsort(code[order], kind="stable")]
            size, held = np.bincount(code, minlength=total), own.sum(0)
            rank = np.arange(len(order)) - (np.cumsum(size) - size)[code[order]]
            piece = rank * held[code[order]] // size[code[order]]
            listed = np.nonzero(own.T)[1]  # owners of class 0, then of class 1, ...
            site = np.empty(len(order), dtype=np.int64)
            site[order] = listed[(np.cumsum(held) - held)[code[order]] + piece]
            return site

        words = Words(f"Pathological(classes={self.classes})", ("raise partition.classes",))
        # With one class a site, who owns which is not drawn: another draw would give the same.
        draws = 1 if self.classes == 1 and not self.by else DRAWS
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words, draws)


def owners(sites: int, each: int, total: int, word: int) -> Bools:
    """Which site owns which class, bool [K, C]: `each` classes a site, every class at least one site."""
    own = np.zeros((sites, total), dtype=bool)
    own[np.arange(sites), np.arange(sites) % total] = True
    order = scatter(word, np.arange(sites)[:, None], np.arange(total)).argsort(axis=1)
    unowned = np.flatnonzero(~own.any(axis=0))
    free = order[0][np.isin(order[0], unowned)].tolist()  # only where there are fewer sites than classes
    for site in range(sites):
        take, free = free[: each - 1], free[each - 1 :]
        own[site, take] = True
        rest = order[site][~own[site][order[site]]]
        own[site, rest[: each - own[site].sum()]] = True
    return own


@dataclass
class Shards(Partition):
    """Patients sorted by class, cut in sites x shards equal pieces, `shards` pieces to each site at random.

    McMahan et al., AISTATS 2017. A piece may hold the end of one class and the start of the next. A site of one class
    is to be expected, so `min_events` is off until it is set.
    """

    min_events: int = 0
    sites: int = 4  # >= 1
    shards: int = 2  # >= 1, a site; McMahan et al.
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.shards", self.shards, 1)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)
        code, _ = classes(cohort, outcome, self.by, group)
        pieces = self.sites * self.shards
        if pieces > len(code):
            raise Refused(
                f"partition.sites={self.sites} with partition.shards={self.shards} make {pieces} pieces of "
                f"{len(code)} patients. Lower one of them."
            )

        def draw(number: int) -> Ints:
            order = group.shuffled(seed, "shards", number)
            order = order[np.argsort(code[order], kind="stable")]
            word = key(seed, "partition", "shards", number, "piece")
            owner = np.empty(pieces, dtype=np.int64)
            owner[np.argsort(scatter(word, np.arange(pieces)), kind="stable")] = np.arange(pieces) // self.shards
            site = np.empty(len(order), dtype=np.int64)
            site[order] = owner[np.arange(len(order)) * pieces // len(order)]
            return site

        words = Words(f"Shards(shards={self.shards})", ("raise partition.shards",))
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words)
