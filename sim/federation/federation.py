"""The federation: one table in site order, the rows of a site end to end as train | valid | test.

Sites are ordered by name and rows by patient, so the numbers do not depend on the order of the table that came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints, Words
from sim.checks import Refused
from sim.cohort.outcomes import SPLITS, Survival
from sim.cohort.table import Cohort
from sim.federation.split import Sides, grouped
from sim.federation.standardise import Placed, Scaling, features
from sim.files import mapped
from sim.random import site_keys


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
    bounds: Ints
    keys: Words = field(repr=False)
    best: Floats | None = None
    levels: tuple[str, ...] = ()

    @property
    def rows(self) -> Ints:
        """Training rows of each site, [S]."""
        return self.rows_of("train")

    def rows_of(self, split: str) -> Ints:
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
    def members(self) -> Ints:
        """Numbers of the sites that train, ascending; the others are external; [J]."""
        return np.flatnonzero(self.rows)

    def held(self, split: str) -> tuple[Ints, Ints]:
        """Row numbers [n] of a split and the site [n] each belongs to."""
        at = SPLITS.index(split)
        low, high = self.bounds[:, at], self.bounds[:, at + 1]
        site = np.repeat(np.arange(len(self.sites)), high - low)
        start = np.cumsum(high - low) - (high - low)
        return np.arange(len(site)) - start[site] + low[site], site


def build(cohort: Cohort, outcome: str, whose: Sides, scaling: Scaling) -> Federation:
    """Federation of a cohort whose rows have their sides; external sites hold test rows only, so their `rows` are 0."""
    names, site, part, outside = whose.names, whose.site, whose.part, whose.outside
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
    order = grouped(cell, whose.patients.order)
    ends = np.cumsum(counts.ravel()).reshape(counts.shape)
    bounds = np.concatenate([np.r_[0, ends[:-1, 2]][:, None], ends], axis=1)
    # An external site that scales by itself has no training rows to do it with, and takes those it is judged on.
    own = np.where(outside & (scaling is Scaling.site), counts.sum(1), counts[:, 0])
    placed = Placed(order, counts.sum(1), own)
    columns, x = features(cohort.table, cohort.predictors[outcome], placed, scaling)
    levels = cohort.levels(outcome)
    truth = None if levels else cohort.truth
    best = None if truth is None else truth[outcome].to_numpy(dtype=np.float64)[order]
    labels = {name: values[order] for name, values in _outcome(cohort, outcome).items()}
    name_list = tuple(str(name) for name in names)
    return Federation(name_list, columns, x, labels, bounds, site_keys(name_list), best, levels)


def _outcome(cohort: Cohort, name: str) -> dict[str, NDArray[np.generic]]:
    outcome = cohort.outcome(name)
    if isinstance(outcome, Survival):
        return {"time_days": cohort.table[outcome.time_days].to_numpy(dtype=np.float64), "event": cohort.events(name)}
    return {"label": cohort.classes(name) if cohort.levels(name) else cohort.events(name)}


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
