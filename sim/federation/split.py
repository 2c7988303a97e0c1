"""The split: which patients of a site its model trains on, which it is tuned on, which it is tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.arrays import Bools, Floats, Ints, Names, Words
from sim.checks import Refused, within
from sim.cohort.ordered import ordered
from sim.cohort.outcomes import SPLITS
from sim.cohort.patients import Patients
from sim.cohort.table import Cohort
from sim.factorize import coded
from sim.federation.standardise import Scaling
from sim.random import key, scatter, uniform

NOBODY: Ints = np.zeros(0, dtype=np.int64)


@dataclass
class Split:
    """The `split` settings: how each site's patients are dealt to train, valid and test, and how columns are scaled."""

    train: float = 0.6  # share of patients, > 0
    valid: float = 0.2  # share, >= 0; the rest is test
    time: str = ""  # column, such as diagnosis_year: the last of a site's patients are its test; empty = by chance
    scaling: Scaling = Scaling.federated
    linked: bool = True  # who is known at two sites is on one side at both; False: each site deals for itself

    def __post_init__(self) -> None:
        within("split.train", self.train, 0, 1, open_low=True, open_high=True)
        within("split.valid", self.valid, 0, 1, open_high=True)
        if self.train + self.valid >= 1:
            raise Refused(
                f"split.train={self.train:g} and split.valid={self.valid:g} leave nothing to test on: "
                "their sum must stay below 1."
            )


class Leak(NamedTuple):
    """Patients who are tested at one site and were trained on at another, which flatters the model."""

    twice: int  # patients known at two sites
    tested: int  # patients with test rows at a site
    trained: int  # of those, patients with training rows at another site

    def told(self) -> str:
        """`120 patients are known at two sites. Of 1600 test patients 29 (1.8 %) are in training rows elsewhere.`"""
        return (
            f"{self.twice} patients are known at two sites. Of {self.tested} test patients {self.trained} "
            f"({self.trained / max(self.tested, 1):.1%}) are in training rows elsewhere."
        )


@dataclass(frozen=True)
class Sides:
    """Where every row stands.

    names    str [S]: sites
    site     int [R]: site of the row
    part     int [R]: 0 train, 1 valid, 2 test
    patients of the rows, as the sites know them
    person   uint64 [R]: the same for all rows of a person who is known at two sites
    outside  bool [S]: external sites, which hold test rows only
    """

    names: Names
    site: Ints
    part: Ints
    patients: Patients
    person: Words
    outside: Bools

    @property
    def leak(self) -> Leak:
        """Test patients who are in training rows elsewhere."""
        rows = pd.DataFrame({"person": self.person, "site": self.site})
        train, test = (rows[self.part == SPLITS.index(name)].drop_duplicates() for name in ("train", "test"))
        both = test.merge(train, on="person")
        caught = both.loc[both["site_x"] != both["site_y"], "person"].nunique()
        twice = np.unique(self.person[self.person != self.patients.word])
        return Leak(len(twice), test["person"].nunique(), caught)


def sides(
    cohort: Cohort,
    outcome: str,
    sites: Names,
    split: Split,
    seed: int,
    external: Sequence[str] = (),
    again: Ints = NOBODY,
) -> Sides:
    """Sides of a cohort dealt to `sites` (str [R], one name a row).

    `external` names sites that do not train; the last rows of the table are copies of the rows `again` [n].
    """
    names, site = coded(np.asarray(sites, dtype=str))
    patients, number = cohort.patients, cohort.patients.word
    outside = np.isin(names, external)
    own, time = len(number) - len(again), times(cohort, split)
    person = np.r_[number[:own], number[again]] if len(again) else number
    linked = split.linked and len(again) > 0
    who = person if linked else number
    if cohort.split:
        part = given(cohort)
    elif linked:  # a copy goes where the patient went
        when = None if time is None else time[:own]
        part = deal(site[:own], Patients.of(number[:own]), cohort.classes(outcome)[:own], split, seed, when)
        part = np.r_[part, part[again]]
    else:
        part = deal(site, patients, cohort.classes(outcome), split, seed, time)
    away = outside[site]
    if linked:
        away |= np.isin(person, person[away])  # tested outside, so trained on nowhere
    part[away] = SPLITS.index("test")
    part = part if cohort.split else one_to_train(part, site, who, outside)
    return Sides(names, site, part, patients, person, outside)


def grouped(cell: Ints, order: Ints) -> Ints:
    """The rows of `order` regrouped by their cell [R], otherwise in the order they had."""
    narrow = np.uint16 if len(cell) and cell.max() < 2**16 else np.int64  # 16 bits are sorted in linear time
    return np.asarray(order[np.argsort(cell.astype(narrow)[order], kind="stable")])


def given(cohort: Cohort) -> Ints:
    """0, 1 or 2 per row, as the cohort's own column says."""
    return np.array([SPLITS.index(word) for word in cohort.table[cohort.split].astype(str)], dtype=np.int64)


def times(cohort: Cohort, split: Split) -> Floats | None:
    """Time of every row [R], or None where the split goes by chance."""
    if not split.time:
        return None
    if cohort.split:
        raise Refused(
            f"split.time={split.time!r}: cohort {cohort.name!r} has a split of its own in {cohort.split!r}. "
            "Leave one of them empty."
        )
    time = ordered(cohort, split.time, "split.time")
    unknown = int(np.isnan(time).sum())
    if unknown:
        raise Refused(
            f"split.time={split.time!r}: not recorded in {unknown} of {len(time)} rows. Name another column, or leave "
            "these patients out."
        )
    return time


def deal(site: Ints, group: Patients, label: Ints, split: Split, seed: int, time: Floats | None = None) -> Ints:
    """0, 1 or 2 per row: within each site and outcome class by the patient's own random number.

    With `time` [R] a site's last patients are test patients, whatever their class; those of one time by chance. A
    patient with several rows is of the highest class, and of the last time, among them.
    """
    people = group.word[group.first]
    had = group.highest(label)
    home = site[group.first]
    stratum = home * (had.max() + 1) + had
    order = np.argsort(scatter(key(seed, "split"), people))
    shares = (split.train, split.train + split.valid)
    if time is None:
        return cut(stratum, people, order, shares, seed)[group.back]
    last = group.highest(time)[order]
    part = 2 * cut(home, people, order[np.argsort(last, kind="stable")], shares[1:], seed)
    early = part == 0
    place = np.cumsum(early) - 1  # of an early patient among those
    left = place[order[early[order]]]
    part[early] = cut(stratum[early], people[early], left, (shares[0] / shares[1],), seed)
    return part[group.back]


def cut(stratum: Ints, people: Words, order: Ints, shares: Sequence[float], seed: int) -> Ints:
    """How many of the ascending `shares` of their stratum [N] come before each of the people [N], in this order."""
    size = np.bincount(stratum)
    rank = np.empty(len(people), dtype=np.int64)
    by_stratum = grouped(stratum, order)
    rank[by_stratum] = np.arange(len(people)) - (np.cumsum(size) - size)[stratum[by_stratum]]
    # Expected sizes are exact even in strata of one: the fraction is rounded by a keyed coin, not always down.
    coin = uniform(scatter(key(seed, "split", "coin"), membership(stratum, people, len(size))))
    part = np.zeros(len(people), dtype=np.int64)
    for share in shares:
        part += rank >= np.floor(share * size + coin)[stratum]
    return part


def membership(stratum: Ints, patient: Words, strata: int) -> Words:
    """One word per stratum that depends on who is in it, not on how the sites are numbered."""
    word = np.zeros(strata, dtype=np.uint64)
    np.bitwise_xor.at(word, stratum, patient)
    return word


def one_to_train(part: Ints, site: Ints, patient: Words, outside: Bools) -> Ints:
    """A site too small for its share of training keeps its first patient for it, wherever else that one is known."""
    lone = (np.bincount(site[part == 0], minlength=len(outside)) == 0) & ~outside
    rows = np.flatnonzero(lone[site])
    if not len(rows):
        return part
    rows = rows[np.lexsort((patient[rows], site[rows]))]
    first = patient[rows][np.r_[True, site[rows][1:] != site[rows][:-1]]]
    return np.where(np.isin(patient, first) & ~outside[site], 0, part)
