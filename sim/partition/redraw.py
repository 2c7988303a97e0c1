"""Random partitions: patients are assigned by keyed random numbers, again while a site is below a floor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from sim.arrays import Floats, Ints, Names, Words
from sim.checks import Refused, within
from sim.cohort.table import Cohort
from sim.partition.base import Partition
from sim.partition.minimums import NO_OR_YES, Floors, floors
from sim.random import key, scatter

DRAWS = 100  # draws that are tried before a partition is refused


@dataclass(frozen=True)
class LabelledPatients:
    """Patients of a cohort, N of them, and their classes; ordered by hash, so the order of the table does not matter.

    word     uint64 [N]: hash of the patient, which keys their random numbers
    kind     int [N]: class of the patient, the highest of their rows; 1 where the outcome happened in one of them
    inverse  int [R]: patient of every row
    label    int [R]: class of the row; 1 where the outcome happened
    names    of the classes, [C]
    """

    word: Words
    kind: Ints
    inverse: Ints
    label: Ints
    names: tuple[str, ...]

    def shuffled(self, seed: int, *path: int | str) -> Ints:
        """Numbers of the patients in a random order, [N], by one random number for each of them."""
        return np.argsort(scatter(key(seed, "partition", *path), self.word), kind="stable")


def labelled_patients(cohort: Cohort, outcome: str) -> LabelledPatients:
    """Patients of a cohort; one with several rows counts with the highest class, so with the event if a row has it."""
    label, patients = cohort.classes(outcome), cohort.patients
    names = cohort.levels(outcome) or NO_OR_YES
    return LabelledPatients(patients.word[patients.first], patients.highest(label), patients.inverse, label, names)


class Plan(NamedTuple):
    """How a partition draws, and how it names itself when it refuses."""

    draw: Callable[[int], Ints]  # number of the draw -> site [N] of every patient
    title: str  # "Dirichlet(alpha=0.1)"
    remedies: tuple[str, ...] = ()  # what the user can do besides fewer sites and lower floors
    draws: int = DRAWS  # at most


@dataclass
class RandomPartition(Partition):
    """A partition into a given number of sites that is drawn at random; a subclass says how, in `plan`."""

    positive: ClassVar[tuple[str, ...]] = ()  # numbers that must be > 0
    counts: ClassVar[tuple[str, ...]] = ("sites",)  # numbers that must be >= 1

    sites: int = 4  # >= 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.counts:
            within(f"partition.{name}", getattr(self, name), 1)
        for name in self.positive:
            within(f"partition.{name}", getattr(self, name), 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Names:
        """Name of the site of every row, [R]: that of the first draw that leaves no site below a floor."""
        patients, least = labelled_patients(cohort, outcome), floors(self, cohort, outcome)
        refuse_impossible(patients, self.sites, least)
        return redraw(patients, self.sites, least, self.plan(cohort, outcome, patients, seed))

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """What is drawn; refuses settings that do not fit the cohort."""
        raise NotImplementedError


def redraw(patients: LabelledPatients, sites: int, least: Floors, plan: Plan) -> Names:
    """Site of every row, [R], by the first draw that leaves no site below a floor; refuses if none of them does."""
    names, best = site_names(sites), None
    for number in range(plan.draws):
        site = plan.draw(number)[patients.inverse]
        lack = least.lack(names, site, patients.label)
        if not lack.sites:
            return names[site]
        best = lack if best is None or lack.sites < best.sites else best
    assert best is not None
    settings = " ".join(best.remedies())
    ways = [*plan.remedies, "lower partition.sites", *([f"set {settings}"] if settings else [])]
    raise Refused(
        f"{plan.title} left at best {best.in_words()} after {plan.draws} draw{'s' * (plan.draws > 1)}; "
        f"{', '.join(ways[:-1])}{',' * (len(ways) > 2)}{' or ' * (len(ways) > 1)}{ways[-1]}."
    )


def refuse_impossible(patients: LabelledPatients, sites: int, least: Floors) -> None:
    """Refuse what no draw can give: sites whose floors add up to more patients, rows or events than the cohort has."""
    count = np.bincount(patients.label, minlength=len(patients.names))
    rarer = int(count.sum() - count.max() if least.classes else count[1])
    kind = "rows of the rarer class" if len(count) == 2 else "rows outside the commonest class"
    for what, floor, available, setting in (
        ("patients", 1, len(patients.word), ""),
        ("rows", least.rows, len(patients.label), "partition.min_rows"),
        (kind if least.classes else "events", least.events, rarer, "partition.min_events"),
    ):
        if sites * floor > available:
            remedy = f" or {setting}" if setting else ""
            raise Refused(
                f"partition.sites={sites}: at least {floor} per site makes {sites * floor} {what}, and the cohort has "
                f"{available}. Lower partition.sites{remedy}."
            )


def site_names(sites: int) -> Names:
    """Names `site-01` and so on, [S], padded with zeros to the width of the last number, at least two digits."""
    width = max(2, len(str(sites)))
    return np.array([f"site-{number:0{width}d}" for number in range(1, sites + 1)])


def deal_shares(order: Ints, shares: Floats, site: Ints) -> None:
    """Write the site of the patients in `order` [n] into `site` [N]: consecutive pieces sized by `shares` [S]."""
    # The last end is left out: it is all of them, whatever rounding says.
    ends = np.floor(np.cumsum(shares)[:-1] * len(order))
    site[order] = np.searchsorted(ends, np.arange(len(order)), side="right")
