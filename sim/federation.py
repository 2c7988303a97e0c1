"""The federation: one table in site order, the rows of a site end to end as train | valid | test.

Sites are ordered by name and rows by patient, so the numbers do not depend on the order of the table that came in.
"""

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.cohort.table import SPLITS, Cohort, Survival
from sim.features import Placed, Scaling, features
from sim.names import coded
from sim.random import key, scatter, uniform


@dataclass
class Split:
    """How each site's patients are dealt to train, valid and test, and how columns are scaled."""

    train: float = 0.6  # share of patients, > 0
    valid: float = 0.2  # share, >= 0; the rest is test
    scaling: Scaling = Scaling.federated

    def __post_init__(self) -> None:
        within("split.train", self.train, 0, 1, open_low=True, open_high=True)
        within("split.valid", self.valid, 0, 1, open_high=True)
        if self.train + self.valid >= 1:
            raise Refused(
                f"split.train={self.train:g} and split.valid={self.valid:g} leave nothing to test on: "
                "their sum must stay below 1."
            )


@dataclass(frozen=True)
class Federation:
    """Rows of all sites and where each site's begin.

    x       float [R, D]: standardised features
    y       columns of the outcome, each [R]
    bounds  int [S, 4]: rows [bounds[s, 0], bounds[s, 1]) train site s, then valid, then test; an external site has
            test rows only
    keys    uint64 [S]: random-number key of a site, made from its name alone
    best    float [R] or None: the score of the oracle (synthetic cohorts; none for an outcome of several classes)
    levels  names of the classes [K] of an outcome that has several
    """

    sites: tuple[str, ...]
    features: tuple[str, ...]
    x: NDArray[np.floating]
    y: Mapping[str, NDArray[np.generic]]
    bounds: NDArray[np.int64]
    keys: NDArray[np.uint64] = field(repr=False)
    best: NDArray[np.float64] | None = None
    levels: tuple[str, ...] = ()

    @property
    def rows(self) -> NDArray[np.int64]:
        """Training rows of each site, [S]."""
        return self.rows_of("train")

    def rows_of(self, split: str) -> NDArray[np.int64]:
        """Rows of a split at each site, [S]."""
        at = SPLITS.index(split)
        return np.asarray(self.bounds[:, at + 1] - self.bounds[:, at])

    def share(self, path: Path) -> None:
        """Move the features to a file that other processes can map, so that they exist once on the machine."""
        there = mapped(path, self.x.shape, self.x.dtype)
        there[:] = self.x
        object.__setattr__(self, "x", there)

    def without_rows(self) -> "Federation":
        """All but the features, for a process that maps them."""
        return replace(self, x=np.empty((0, len(self.features)), self.x.dtype))

    def with_rows(self, path: Path) -> "Federation":
        """Features from the file that `share` wrote."""
        return replace(self, x=mapped(path, (int(self.bounds[-1, -1]), len(self.features)), self.x.dtype))

    @property
    def members(self) -> NDArray[np.int64]:
        """Numbers of the sites that train, ascending; the others are external; [J]."""
        return np.flatnonzero(self.rows)

    def held(self, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers [n] of a split and the site [n] each belongs to."""
        at = SPLITS.index(split)
        low, high = self.bounds[:, at], self.bounds[:, at + 1]
        site = np.repeat(np.arange(len(self.sites)), high - low)
        start = np.cumsum(high - low) - (high - low)
        return np.arange(len(site)) - start[site] + low[site], site


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Array on a file that every process of this machine may map; zeros where nothing was written yet."""
    size = int(np.prod(shape)) * dtype.itemsize
    if not size:
        return np.zeros(shape, dtype)
    with path.open("a+b") as file:
        file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def site_keys(names: tuple[str, ...]) -> NDArray[np.uint64]:
    """Random-number key of each site, from its name, so that other sites may come and go."""
    return np.array([key(0, "site", name) & 0xFFFF_FFFF_FFFF_FFFF for name in names], dtype=np.uint64)


def build(
    cohort: Cohort, outcome: str, sites: NDArray[np.str_], split: Split, seed: int, external: Sequence[str] = ()
) -> Federation:
    """Federation of a cohort dealt to `sites` (str [R], one name a row).

    `external` names sites that do not train: they hold test rows only, so that `Federation.rows` is 0 there.
    """
    names, site = coded(np.asarray(sites, dtype=str))
    outside = np.isin(names, external)
    group = Patients.of(cohort)
    part = _given(cohort) if cohort.split else _deal(site, group, cohort.classes(outcome), split, seed)
    if cohort.split is None:
        part = _one_to_train(part, site, group.word)
    part[outside[site]] = SPLITS.index("test")
    cell = site * len(SPLITS) + part
    counts = np.bincount(cell, minlength=len(names) * len(SPLITS)).reshape(-1, len(SPLITS))
    lacking = (counts[:, 0] == 0) & ~outside
    if lacking.any():
        empty = ", ".join(names[lacking][:5])
        raise Refused(
            f"No training rows at {empty}: give each site at least one row marked 'train' in {cohort.split!r}."
        )
    if not counts[:, 2].any():
        remedy = (
            f"mark some rows 'test' in {cohort.split!r}"
            if cohort.split
            else "give sites more patients, or lower split.train"
        )
        most = int(counts.sum(1).max())
        raise Refused(f"No test rows at any site, the largest of which has {most} rows: {remedy}.")
    order = grouped(cell, group.order)
    ends = np.cumsum(counts.ravel()).reshape(counts.shape)
    bounds = np.concatenate([np.r_[0, ends[:-1, 2]][:, None], ends], axis=1)
    # An external site that scales by itself has no training rows to do it with, and takes those it is judged on.
    own = np.where(outside & (split.scaling is Scaling.site), counts.sum(1), counts[:, 0])
    placed = Placed(order, counts.sum(1), own)
    columns, x = features(cohort.table, cohort.predictors[outcome], placed, split.scaling)
    levels = cohort.levels(outcome)
    truth = None if levels else cohort.truth
    best = None if truth is None else truth[outcome].to_numpy(dtype=np.float64)[order]
    labels = {name: values[order] for name, values in _outcome(cohort, outcome).items()}
    name_list = tuple(str(name) for name in names)
    return Federation(name_list, columns, x, labels, bounds, site_keys(name_list), best, levels)


@dataclass(frozen=True)
class Patients:
    """Patients of a table, N of them, in the order of their hash, so that the order of the rows does not matter.

    word   uint64 [R]: hash of the patient of every row
    first  int [N]: first row of every patient
    back   int [R]: patient of every row
    """

    word: NDArray[np.uint64]
    first: NDArray[np.int64]
    back: NDArray[np.int64]

    @classmethod
    def of(cls, cohort: Cohort) -> "Patients":
        """Patients of a cohort."""
        word = pd.util.hash_array(cohort.table["patient"].to_numpy())
        _, first, back = np.unique(word, return_index=True, return_inverse=True)
        return cls(word, first, back)

    @property
    def order(self) -> NDArray[np.int64]:
        """Rows by patient; a patient's rows in the order of the table; [R]."""
        return self.first if len(self.first) == len(self.back) else np.argsort(self.back, kind="stable")


def grouped(cell: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `order` regrouped by their cell [R], otherwise in the order they had."""
    narrow = np.uint16 if len(cell) and cell.max() < 2**16 else np.int64  # 16 bits are sorted in linear time
    return np.asarray(order[np.argsort(cell.astype(narrow)[order], kind="stable")])


def _outcome(cohort: Cohort, name: str) -> dict[str, NDArray[np.generic]]:
    outcome = cohort.outcome(name)
    if isinstance(outcome, Survival):
        return {"time_days": cohort.table[outcome.time_days].to_numpy(dtype=np.float64), "event": cohort.events(name)}
    return {"label": cohort.classes(name) if cohort.levels(name) else cohort.events(name)}


def _given(cohort: Cohort) -> NDArray[np.int64]:
    return np.array([SPLITS.index(word) for word in cohort.table[cohort.split].astype(str)], dtype=np.int64)


def _deal(
    site: NDArray[np.int64], group: Patients, label: NDArray[np.int64], split: Split, seed: int
) -> NDArray[np.int64]:
    """0, 1 or 2 per row: within each site and outcome class by the patient's own random number.

    A patient with several rows is of the highest class among them.
    """
    people = group.word[group.first]
    had = np.zeros(len(people), dtype=np.int64)
    np.maximum.at(had, group.back, label)
    stratum = site[group.first] * (had.max() + 1) + had
    order = grouped(stratum, np.argsort(scatter(key(seed, "split"), people)))
    size = np.bincount(stratum)
    rank = np.empty(len(people), dtype=np.int64)
    rank[order] = np.arange(len(people)) - (np.cumsum(size) - size)[stratum[order]]
    # Expected sizes are exact even in strata of one: the fraction is rounded by a keyed coin, not always down.
    coin = uniform(scatter(key(seed, "split", "coin"), membership(stratum, people, len(size))))
    part = np.zeros(len(people), dtype=np.int64)
    for share in (split.train, split.train + split.valid):
        part += rank >= np.floor(share * size + coin)[stratum]
    return part[group.back]


def membership(stratum: NDArray[np.int64], patient: NDArray[np.uint64], strata: int) -> NDArray[np.uint64]:
    """One word per stratum that depends on who is in it, not on how the sites are numbered."""
    word = np.zeros(strata, dtype=np.uint64)
    np.bitwise_xor.at(word, stratum, patient)
    return word


def _one_to_train(part: NDArray[np.int64], site: NDArray[np.int64], patient: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A site too small for its share of training keeps its first patient for it."""
    lone = np.bincount(site[part == 0], minlength=int(site.max()) + 1) == 0
    rows = np.flatnonzero(lone[site])
    rows = rows[np.lexsort((patient[rows], site[rows]))]
    head = np.r_[True, site[rows][1:] != site[rows][:-1]]
    first = patient[rows][np.maximum.accumulate(np.where(head, np.arange(len(rows)), 0))] if len(rows) else patient[:0]
    part = part.copy()
    part[rows[patient[rows] == first]] = 0
    return part


def from_arrays(
    rows: Mapping[str, tuple[NDArray[np.floating], Mapping[str, NDArray[np.generic]]]],
) -> Federation:
    """Federation from {site: (x [n, D], {column: [n]})}, all rows for training; keeps the dtype (oracle tests)."""
    names = tuple(sorted(rows))
    sizes = np.array([len(rows[name][0]) for name in names])
    ends = np.cumsum(sizes)
    bounds = np.stack([ends - sizes, ends, ends, ends], axis=1)
    x = np.concatenate([rows[name][0] for name in names])
    columns = rows[names[0]][1]
    y = {column: np.concatenate([rows[name][1][column] for name in names]) for column in columns}
    return Federation(names, tuple(f"x{d}" for d in range(x.shape[1])), x, y, bounds, site_keys(names))
