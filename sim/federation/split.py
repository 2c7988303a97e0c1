"""The split: which patients of a site are for training, which for validation and which for testing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.arrays import Bools, Floats, Ints, Names, Words
from sim.checks import Refused, within
from sim.cohort.ordered import ordered
from sim.cohort.outcomes import SPLITS
from sim.cohort.patients import Patients
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.federation.standardise import Scaling
from sim.lazy import pd
from sim.random import key, scatter, uniform

NO_ROWS: Ints = np.zeros(0, dtype=np.int64)


@dataclass
class Split:
    """The `split` settings: how patients of a site become train, valid and test, and how columns are scaled."""

    train: float = 0.6  # share of patients, > 0
    valid: float = 0.2  # share, >= 0; the rest is test
    time: str = ""  # column, such as diagnosis_year: a site tests on its latest patients; empty = at random
    scaling: Scaling = Scaling.federated
    linked: bool = True  # a patient known at two sites is in the same part at both; False: each site splits by itself

    def __post_init__(self) -> None:
        within("split.train", self.train, 0, 1, open_low=True, open_high=True)
        within("split.valid", self.valid, 0, 1, open_high=True)
        if self.train + self.valid >= 1:
            raise Refused(
                f"split.train={self.train:g} and split.valid={self.valid:g} leave no patients for testing: their sum "
                "must be below 1."
            )


class Leak(NamedTuple):
    """Patients who are in test rows of one site and training rows of another, which makes a model look too good."""

    twice: int  # patients known at two sites
    tested: int  # patients with test rows at a site
    trained: int  # of those, patients with training rows at another site

    def in_words(self) -> str:
        """`120 patients are known at two sites. Of 1600 test patients 29 (1.8%) are in training rows elsewhere.`"""
        return (
            f"{self.twice} patients are known at two sites. Of {self.tested} test patients {self.trained} "
            f"({self.trained / max(self.tested, 1):.1%}) are in training rows elsewhere."
        )


@dataclass(frozen=True)
class RowSplit:
    """Site and part of every row of a cohort.

    names     str [S]: sites, sorted
    site      int [R]: site of the row
    part      int [R]: 0 train, 1 valid, 2 test
    patients  of the rows, as the sites know them
    person    uint64 [R]: the same for all rows of a person, also where two sites know them as two patients
    external  bool [S]: sites that hold test rows only
    """

    names: Names
    site: Ints
    part: Ints
    patients: Patients
    person: Words
    external: Bools

    @property
    def leak(self) -> Leak:
        """How many test patients are in training rows of another site."""
        rows = pd.DataFrame({"person": self.person, "site": self.site})
        train, test = (rows[self.part == SPLITS.index(name)].drop_duplicates() for name in ("train", "test"))
        both = test.merge(train, on="person")
        caught = both.loc[both["site_x"] != both["site_y"], "person"].nunique()
        twice = np.unique(self.person[self.person != self.patients.word])
        return Leak(len(twice), test["person"].nunique(), caught)


def split_rows(
    cohort: Cohort,
    outcome: str,
    sites: Names,
    split: Split,
    seed: int,
    external: Sequence[str] = (),
    originals: Ints = NO_ROWS,
) -> RowSplit:
    """Split of a cohort whose rows are at `sites` (str [R], one name per row).

    `external` names sites that do not train. The last n rows of the table are copies of the rows `originals` [n].
    """
    names, site = factorize(np.asarray(sites, dtype=str))
    patients, number = cohort.patients, cohort.patients.word
    outside = np.isin(names, external)  # [S]
    own, time = len(number) - len(originals), split_times(cohort, split)
    person = np.r_[number[:own], number[originals]] if len(originals) else number
    linked = split.linked and len(originals) > 0
    known = person if linked else number  # the patient, as far as sites are linked
    if cohort.split:
        part = given_parts(cohort)
    elif linked:  # a copy is in the part of its original
        own_time = None if time is None else time[:own]
        part = draw_parts(site[:own], Patients.of(number[:own]), cohort.classes(outcome)[:own], split, seed, own_time)
        part = np.r_[part, part[originals]]
    else:
        part = draw_parts(site, patients, cohort.classes(outcome), split, seed, time)
    test_only = outside[site]
    if linked:
        test_only |= np.isin(person, person[test_only])  # tested at an external site, so trained on nowhere
    part[test_only] = SPLITS.index("test")
    part = part if cohort.split else one_to_train(part, site, known, outside)
    return RowSplit(names, site, part, patients, person, outside)


def grouped(cell: Ints, order: Ints) -> Ints:
    """The rows of `order` [R] sorted by their cell [R], and within a cell as they were."""
    narrow = np.uint16 if len(cell) and cell.max() < 2**16 else np.int64  # 16 bits are sorted in linear time
    return np.asarray(order[np.argsort(cell.astype(narrow)[order], kind="stable")])


def given_parts(cohort: Cohort) -> Ints:
    """Part of every row, [R], from the cohort's own column."""
    return np.array([SPLITS.index(word) for word in cohort.table[cohort.split].astype(str)], dtype=np.int64)


def split_times(cohort: Cohort, split: Split) -> Floats | None:
    """Time of every row, [R], or None where the split is random; refuses a cohort with a split of its own, and gaps."""
    if not split.time:
        return None
    if cohort.split:
        raise Refused(
            f"split.time={split.time!r}: cohort {cohort.name!r} already has a split, in {cohort.split!r}. Leave one of "
            "the two empty."
        )
    time = ordered(cohort, split.time, "split.time")
    unknown = int(np.isnan(time).sum())
    if unknown:
        raise Refused(
            f"split.time={split.time!r}: not recorded in {unknown} of {len(time)} rows. Name another column, or leave "
            "these patients out."
        )
    return time


def draw_parts(
    site: Ints, patients: Patients, label: Ints, split: Split, seed: int, time: Floats | None = None
) -> Ints:
    """Part of every row, [R], by the patient's own random number within each site and outcome class.

    site   int [R]
    label  int [R]: outcome class
    time   float [R]: if given, a site's latest patients are its test patients, whatever their class; ties at random

    A patient with several rows counts with the highest class and the latest time among them.
    """
    word = patients.word[patients.first]
    kind = patients.highest(label)
    home = site[patients.first]
    stratum = home * (kind.max() + 1) + kind
    order = np.argsort(scatter(key(seed, "split"), word))
    shares = (split.train, split.train + split.valid)
    if time is None:
        return cut_by_shares(stratum, word, order, shares, seed)[patients.inverse]
    last = patients.highest(time)[order]
    part = 2 * cut_by_shares(home, word, order[np.argsort(last, kind="stable")], shares[1:], seed)
    early = part == 0
    place = np.cumsum(early) - 1  # of an early patient among the early ones
    left = place[order[early[order]]]
    part[early] = cut_by_shares(stratum[early], word[early], left, (shares[0] / shares[1],), seed)
    return part[patients.inverse]


def cut_by_shares(stratum: Ints, word: Words, order: Ints, shares: Sequence[float], seed: int) -> Ints:
    """Piece of every patient, [N], when each stratum, taken in `order` [N], is cut at these ascending shares of it.

    stratum  int [N] and word uint64 [N] of the patients; k shares make the pieces 0 .. k
    """
    size = np.bincount(stratum)
    rank = np.empty(len(word), dtype=np.int64)
    by_stratum = grouped(stratum, order)
    rank[by_stratum] = np.arange(len(word)) - (np.cumsum(size) - size)[stratum[by_stratum]]
    # The fraction of a patient is rounded by a keyed coin and not always down: expected sizes are exact in any stratum.
    coin = uniform(scatter(key(seed, "split", "coin"), stratum_words(stratum, word, len(size))))
    part = np.zeros(len(word), dtype=np.int64)
    for share in shares:
        part += rank >= np.floor(share * size + coin)[stratum]
    return part


def stratum_words(stratum: Ints, patient: Words, strata: int) -> Words:
    """Hash of every stratum from its patients [N], whatever the numbers of the sites are; uint64 [strata]."""
    word = np.zeros(strata, dtype=np.uint64)
    np.bitwise_xor.at(word, stratum, patient)
    return word


def one_to_train(part: Ints, site: Ints, patient: Words, outside: Bools) -> Ints:
    """Parts [R] in which every site that trains has training rows: a site without any is given its first patient.

    That patient (hashes uint64 [R]) is then in training at all sites but the external ones (`outside`, bool [S]).
    """
    lone = (np.bincount(site[part == 0], minlength=len(outside)) == 0) & ~outside
    rows = np.flatnonzero(lone[site])
    if not len(rows):
        return part
    rows = rows[np.lexsort((patient[rows], site[rows]))]
    first = patient[rows][np.r_[True, site[rows][1:] != site[rows][:-1]]]
    return np.where(np.isin(patient, first) & ~outside[site], 0, part)
