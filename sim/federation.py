"""The federation: one table in site order, the rows of a site end to end as train | valid | test.

Sites are ordered by name and rows by patient, so the numbers do not depend on the order of the table that came in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.cohort.table import SPLITS, Binary, Cohort
from sim.features import Scaling, encode, refuse_huge, standardise
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
    best    float [R] or None: the score of the oracle (synthetic cohorts)
    """

    sites: tuple[str, ...]
    features: tuple[str, ...]
    x: NDArray[np.floating]
    y: Mapping[str, NDArray[np.generic]]
    bounds: NDArray[np.int64]
    keys: NDArray[np.uint64] = field(repr=False)
    best: NDArray[np.float64] | None = None

    @property
    def rows(self) -> NDArray[np.int64]:
        """Training rows of each site, [S]."""
        return np.asarray(self.bounds[:, 1] - self.bounds[:, 0])

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


def site_keys(names: tuple[str, ...]) -> NDArray[np.uint64]:
    """Random-number key of each site, from its name, so that other sites may come and go."""
    return np.array([key(0, "site", name) & 0xFFFF_FFFF_FFFF_FFFF for name in names], dtype=np.uint64)


def build(
    cohort: Cohort, outcome: str, sites: NDArray[np.str_], split: Split, seed: int, external: Sequence[str] = ()
) -> Federation:
    """Federation of a cohort dealt to `sites` (str [R], one name a row).

    `external` names sites that do not train: they hold test rows only, so that `Federation.rows` is 0 there.
    """
    names, site = np.unique(sites.astype(str), return_inverse=True)
    outside = np.isin(names, external)
    patient = pd.util.hash_array(cohort.table["patient"].to_numpy())
    part = _given(cohort) if cohort.split else _deal(site, patient, cohort.events(outcome), split, seed)
    if cohort.split is None:
        part = _one_to_train(part, site, patient)
    part[outside[site]] = SPLITS.index("test")
    counts = np.zeros((len(names), 3), dtype=np.int64)
    np.add.at(counts, (site, part), 1)
    lacking = (counts[:, 0] == 0) & ~outside
    if lacking.any():
        empty = ", ".join(names[lacking][:5])
        raise Refused(
            f"No training rows at {empty}: give each site at least one row marked 'train' in {cohort.split!r}."
        )
    if not counts[:, 2].any():
        remedy = f"mark some rows 'test' in {cohort.split!r}" if cohort.split else "lower split.train"
        raise Refused(f"No test rows at any site: {remedy}.")
    order = np.lexsort((np.arange(len(site)), patient, part, site))
    ends = np.cumsum(counts.ravel()).reshape(counts.shape)
    bounds = np.concatenate([np.r_[0, ends[:-1, 2]][:, None], ends], axis=1)
    features, raw = encode(cohort.table.iloc[order], cohort.predictors[outcome])
    refuse_huge(features, raw)
    held = site[order]
    # An external site that scales by itself has no training rows to do it with, and takes those it is judged on.
    use = (part[order] == 0) | (outside[held] & (split.scaling is Scaling.site))
    x = standardise(raw, held, use, len(names), split.scaling)
    best = cohort.truth[outcome].to_numpy(dtype=np.float64)[order] if cohort.truth is not None else None
    labels = {name: values[order] for name, values in _outcome(cohort, outcome).items()}
    name_list = tuple(str(name) for name in names)
    return Federation(name_list, features, x.astype(np.float32), labels, bounds, site_keys(name_list), best)


def _outcome(cohort: Cohort, name: str) -> dict[str, NDArray[np.generic]]:
    outcome = cohort.outcome(name)
    if isinstance(outcome, Binary):
        return {"label": cohort.events(name)}
    return {"time_days": cohort.table[outcome.time_days].to_numpy(dtype=np.float64), "event": cohort.events(name)}


def _given(cohort: Cohort) -> NDArray[np.int64]:
    return np.array([SPLITS.index(word) for word in cohort.table[cohort.split].astype(str)], dtype=np.int64)


def _deal(
    site: NDArray[np.int64], patient: NDArray[np.uint64], event: NDArray[np.bool_], split: Split, seed: int
) -> NDArray[np.int64]:
    """0, 1 or 2 per row: within each site and outcome class by the patient's own random number."""
    people, first, back = np.unique(patient, return_index=True, return_inverse=True)
    had = np.zeros(len(people), dtype=bool)
    np.logical_or.at(had, back, event)
    stratum = site[first] * 2 + had
    draw = uniform(scatter(key(seed, "split"), people))
    order = np.lexsort((draw, stratum))
    size = np.bincount(stratum, minlength=stratum.max() + 1)
    rank = np.empty(len(people), dtype=np.int64)
    rank[order] = np.arange(len(people)) - (np.cumsum(size) - size)[stratum[order]]
    # Expected sizes are exact even in strata of one: the fraction is rounded by a keyed coin, not always down.
    coin = uniform(scatter(key(seed, "split", "coin"), membership(stratum, people, len(size))))
    cuts = np.stack([np.floor(share * size + coin) for share in (split.train, split.train + split.valid)])
    part: NDArray[np.int64] = (rank[:, None] >= cuts.T[stratum]).sum(1)
    return part[back]


def membership(stratum: NDArray[np.int64], patient: NDArray[np.uint64], strata: int) -> NDArray[np.uint64]:
    """One word per stratum that depends on who is in it, not on how the sites are numbered."""
    word = np.zeros(strata, dtype=np.uint64)
    np.bitwise_xor.at(word, stratum, patient)
    return word


def _one_to_train(part: NDArray[np.int64], site: NDArray[np.int64], patient: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A site too small for its share of training keeps its first patient for it."""
    part = part.copy()
    for lone in np.setdiff1d(site, site[part == 0]):
        part[(site == lone) & (patient == patient[site == lone].min())] = 0
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
