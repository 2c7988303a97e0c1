"""Pathological skew: every site holds a few classes and none of the others."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Bools, Ints
from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.partition.columns import dealt_classes
from sim.partition.redraw import DRAWS, LabelledPatients, Plan, RandomPartition
from sim.random import key, scatter


@dataclass
class Pathological(RandomPartition):
    """Every site owns exactly `classes` classes; each class is split evenly among its owners.

    Site i owns class i mod C, and classes - 1 others at random: NIID-Bench's "#C = k" (Li et al., ICDE 2022). Where
    there are fewer sites than classes, those that nobody owns yet come before the random ones, so that no patient is
    left out; NIID-Bench drops them. A site of one class is the point, so `min_events` is off until it is set.
    """

    counts: ClassVar[tuple[str, ...]] = ("sites", "classes")

    min_events: int = 0
    classes: int = 1  # 1..number of classes; a label of two classes leaves 1 as the only skew
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Draws of who owns which class; refuses more classes per site than there are, and classes without an owner."""
        code, names = dealt_classes(cohort, outcome, self.by, patients)
        total = len(names)
        if self.classes > total:
            raise Refused(
                f"partition.classes={self.classes}: allowed [1, {total}], the classes of {self.by or outcome!r}."
            )
        if self.sites * self.classes < total:
            raise Refused(
                f"partition.sites={self.sites} with partition.classes={self.classes} can hold at most "
                f"{self.sites * self.classes} of {total} classes. Raise partition.classes or partition.sites."
            )

        def draw(number: int) -> Ints:
            own = owners(self.sites, self.classes, total, key(seed, "partition", "pathological", number))
            # Each class: its patients in random order, in even pieces, to its owners in order.
            order = by_class(patients.shuffled(seed, "pathological", number), code)
            size, owned = np.bincount(code, minlength=total), own.sum(0)
            rank = np.arange(len(order)) - (np.cumsum(size) - size)[code[order]]
            piece = rank * owned[code[order]] // size[code[order]]
            listed = np.nonzero(own.T)[1]  # owners of class 0, then of class 1, ...
            site = np.empty(len(order), dtype=np.int64)
            site[order] = listed[(np.cumsum(owned) - owned)[code[order]] + piece]
            return site

        # With one class per site, which site owns which class is not drawn: another draw would give the same floors.
        draws = 1 if self.classes == 1 and not self.by else DRAWS
        return Plan(draw, f"Pathological(classes={self.classes})", ("raise partition.classes",), draws)


def owners(sites: int, each: int, total: int, word: int) -> Bools:
    """Which site owns which class, [K, C]: every site `each` of the `total` classes, every class at least one site."""
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


def by_class(order: Ints, code: Ints) -> Ints:
    """Patients [N] sorted by class, `code` [N], and within a class as in `order`."""
    return order[np.argsort(code[order], kind="stable")]


@dataclass
class Shards(RandomPartition):
    """Patients sorted by class, cut in sites x shards equal pieces, `shards` pieces to each site at random.

    McMahan et al., AISTATS 2017. A piece may hold the end of one class and the start of the next. A site of one class
    is to be expected, so `min_events` is off until it is set.
    """

    counts: ClassVar[tuple[str, ...]] = ("sites", "shards")

    min_events: int = 0
    shards: int = 2  # >= 1 per site; McMahan et al.
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Draws of the order within a class and of who gets which piece; refuses more pieces than patients."""
        code, _ = dealt_classes(cohort, outcome, self.by, patients)
        pieces = self.sites * self.shards
        if pieces > len(code):
            raise Refused(
                f"partition.sites={self.sites} with partition.shards={self.shards} make {pieces} pieces of "
                f"{len(code)} patients. Lower one of them."
            )

        def draw(number: int) -> Ints:
            order = by_class(patients.shuffled(seed, "shards", number), code)
            word = key(seed, "partition", "shards", number, "piece")
            owner = np.empty(pieces, dtype=np.int64)
            owner[np.argsort(scatter(word, np.arange(pieces)), kind="stable")] = np.arange(pieces) // self.shards
            site = np.empty(len(order), dtype=np.int64)
            site[order] = owner[np.arange(len(order)) * pieces // len(order)]
            return site

        return Plan(draw, f"Shards(shards={self.shards})", ("raise partition.shards",))
