"""The federation: one table ordered by site, with the rows of each site as train | valid | test.

Sites are ordered by name and rows by patient, so results do not depend on the order of the rows of the cohort.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints, Words
from sim.checks import Refused
from sim.cohort.outcomes import SPLITS, Numeric, Survival
from sim.cohort.table import Cohort
from sim.federation.groups import Group, groups
from sim.federation.split import RowSplit, grouped
from sim.federation.standardise import Recipe, RowOrder, Scaling, features
from sim.files import mapped
from sim.random import site_keys


@dataclass(frozen=True)
class Federation:
    """Features and outcome of the rows of all sites, and the bounds of each site's rows.

    x       float [R, D]: standardised features
    y       columns of the outcome, each [R]
    bounds  int [S, 4]: rows [bounds[s, 0], bounds[s, 1]) train site s, then valid, then test; an external site has
            test rows only
    keys    uint64 [S]: random-number key of a site, made from its name alone
    best    float [R] or None: the score of the oracle (synthetic cohorts; none for an outcome of several classes)
    levels  names of the classes [K] of an outcome that has several
    groups  patient groups by name, codes [R]; no feature is made of them
    recipe  how the features were made; None where they were given as numbers
    patient int [R]: number of the patient, in no order that means anything; None where everyone has one row
    """

    sites: tuple[str, ...]
    features: tuple[str, ...]
    x: NDArray[np.floating]
    y: Mapping[str, NDArray[np.generic]]
    bounds: Ints
    keys: Words = field(repr=False)
    best: Floats | None = None
    levels: tuple[str, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict, repr=False)
    recipe: Recipe | None = field(default=None, repr=False)
    patient: Ints | None = field(default=None, repr=False)

    @cached_property
    def rows(self) -> Ints:
        """Training rows of each site, [S]."""
        return self.rows_of("train")

    def rows_of(self, split: str) -> Ints:
        """Rows of a split at each site, [S]."""
        part = SPLITS.index(split)
        return np.asarray(self.bounds[:, part + 1] - self.bounds[:, part])

    def share(self, path: Path) -> None:
        """Move the features to a file that other processes can map, so that the machine holds them once."""
        file = mapped(path, self.x.shape, self.x.dtype)
        file[:] = self.x
        object.__setattr__(self, "x", file)

    def without_rows(self) -> "Federation":
        """All but the features, for a process that maps them and trains."""
        return replace(self, x=np.empty((0, len(self.features)), self.x.dtype), groups={}, recipe=None, patient=None)

    def with_rows(self, path: Path) -> "Federation":
        """The federation with its features mapped from the file that `share` wrote."""
        return replace(self, x=mapped(path, (int(self.bounds[-1, -1]), len(self.features)), self.x.dtype))

    @property
    def members(self) -> Ints:
        """Numbers of the sites that train, ascending, [J]; all others are external."""
        return np.flatnonzero(self.rows)

    def held(self, split: str) -> tuple[Ints, Ints]:
        """Row numbers [n] of a split, site after site, and the site [n] of each."""
        part = SPLITS.index(split)
        low, high = self.bounds[:, part], self.bounds[:, part + 1]
        site = np.repeat(np.arange(len(self.sites)), high - low)
        start = np.cumsum(high - low) - (high - low)
        return np.arange(len(site)) - start[site] + low[site], site


def build(cohort: Cohort, outcome: str, split: RowSplit, scaling: Scaling, named: Sequence[str] = ()) -> Federation:
    """Federation of a cohort split rows have their sides; external sites hold test rows only, so their `rows` are 0.

    `named` are the patient groups to carry; without them the usual ones that the cohort has.
    """
    names, site, part, external = split.names, split.site, split.part, split.external
    cell = site * len(SPLITS) + part
    counts = np.bincount(cell, minlength=len(names) * len(SPLITS)).reshape(-1, len(SPLITS))
    lacking = (counts[:, 0] == 0) & ~external
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
    order = grouped(cell, split.patients.order)
    ends = np.cumsum(counts.ravel()).reshape(counts.shape)
    bounds = np.concatenate([np.r_[0, ends[:-1, 2]][:, None], ends], axis=1)
    # An external site has no training rows: where each site scales by itself, it does so by its test rows.
    own = np.where(external & (scaling is Scaling.site), counts.sum(1), counts[:, 0])
    placed = RowOrder(order, counts.sum(1), own)
    recipe, x = features(cohort.table, cohort.predictors[outcome], placed, scaling)
    levels = cohort.levels(outcome)
    truth = None if levels else cohort.truth
    best = None if truth is None else truth[outcome].to_numpy(dtype=np.float64)[order]
    labels = {name: values[order] for name, values in outcome_columns(cohort, outcome).items()}
    name_list = tuple(str(name) for name in names)
    keys, carried = site_keys(name_list), groups(cohort.table, named, order)
    people = split.patients
    patient = people.inverse[order] if len(people.first) < len(people.inverse) else None
    return Federation(name_list, recipe.features, x, labels, bounds, keys, best, levels, carried, recipe, patient)


def outcome_columns(cohort: Cohort, name: str) -> dict[str, NDArray[np.generic]]:
    """Columns of an outcome, [R] each: `time_days` and `event` of a survival, `value` of a number, or `label`.

    A label is a flag or a class number.
    """
    outcome = cohort.outcome(name)
    if isinstance(outcome, Survival):
        return {"time_days": cohort.table[outcome.time_days].to_numpy(dtype=np.float64), "event": cohort.events(name)}
    if isinstance(outcome, Numeric):
        return {"value": cohort.table[outcome.value].to_numpy(dtype=np.float64)}
    return {"label": cohort.classes(name) if cohort.levels(name) else cohort.events(name)}


def from_arrays(
    rows: Mapping[str, tuple[NDArray[np.floating], Mapping[str, NDArray[np.generic]]]],
) -> Federation:
    """Federation from {site: (x [n, D], {column: [n]})} with all rows for training; keeps the dtype (oracle tests)."""
    names = tuple(sorted(rows))
    sizes = np.array([len(rows[name][0]) for name in names])
    ends = np.cumsum(sizes)
    bounds = np.stack([ends - sizes, ends, ends, ends], axis=1)
    x = np.concatenate([rows[name][0] for name in names])
    columns = rows[names[0]][1]
    y = {column: np.concatenate([rows[name][1][column] for name in names]) for column in columns}
    return Federation(names, tuple(f"x{d}" for d in range(x.shape[1])), x, y, bounds, site_keys(names))
