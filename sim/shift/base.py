"""Settings common to all shifts, and the keyed random numbers that turn a dial into what a site or a patient gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints, Names, Words
from sim.checks import Refused, one_of, within
from sim.cohort.outcomes import Binary, Outcome, Survival
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.lazy import pd
from sim.random import inside, key, scatter, site_keys

Values: TypeAlias = "NDArray[np.generic] | pd.Series"
NewColumns = dict[str, Values]  # columns that replace those of a table


class ShiftDials:
    """One kind of shift, whose dials are numbers from 0 (no shift) up.

    A dial that is None follows `shift.het`: het times its value in `at_het_one`, or 0 if it has none there.
    """

    kind: ClassVar[str] = ""  # name of its settings under `shift`
    at_het_one: ClassVar[Mapping[str, float]] = {}  # values of the dials at shift.het = 1
    limits: ClassVar[Mapping[str, float]] = {}  # every dial, and its largest value

    def check(self) -> None:
        """Refuse dials that are below 0 or above their limit."""
        for name, most in self.limits.items():
            own = getattr(self, name)
            if own is not None:
                within(f"shift.{self.kind}.{name}", own, 0, most)

    def value(self, name: str, het: float) -> float:
        """Value of a dial: its own, or the one that `het` gives it, within its limit."""
        own = getattr(self, name)
        return min(het * self.at_het_one.get(name, 0.0), self.limits[name]) if own is None else float(own)

    def active(self, het: float) -> bool:
        """Whether any dial is above 0."""
        return any(self.value(name, het) > 0 for name in self.limits)

    def active_settings(self, het: float) -> list[str]:
        """Settings that are above 0: dials set themselves, and `shift.het` for each that follows it."""
        up = [name for name in self.limits if self.value(name, het) > 0]
        return ["shift.het" if getattr(self, name) is None else f"shift.{self.kind}.{name}" for name in up]

    def explicit(self, *names: str) -> bool:
        """Whether one of these dials was itself set above 0, and not only by `het`."""
        return any((getattr(self, name) or 0) > 0 for name in names)


@dataclass(frozen=True)
class SiteDraws:
    """Random numbers for S sites and R rows, each keyed by the name of the site or by the patient alone."""

    seed: int
    names: Names  # [S] of the sites, sorted
    site: Ints  # [R] site of the row
    site_word: Words  # [S] key of the site
    row_word: Words  # [R] hash of the patient: all rows of a patient share their random numbers

    @classmethod
    def of(cls, cohort: Cohort, sites: Names, seed: int) -> SiteDraws:
        """Keys of the rows of a cohort and of their sites [R]."""
        names, site = factorize(sites)
        words = site_keys(tuple(str(name) for name in names))
        return cls(seed, names, site, words, cohort.patients.word)

    def site_uniforms(self, *path: str) -> Floats:
        """Uniforms in (0, 1) of the sites, [S], for the quantity that `path` names."""
        return inside(scatter(key(self.seed, "shift", *path), self.site_word))

    def site_normals(self, *path: str) -> Floats:
        """Standard normals of the sites, [S], from `site_uniforms`."""
        return np.asarray(scipy.special.ndtri(self.site_uniforms(*path)))

    def site_shares(self, mean: float, a: float, b: float, *path: str) -> Floats:
        """Shares of the sites, [S]: Beta(a, b) variates scaled to this mean and cut off at 1."""
        drawn = np.asarray(scipy.special.betaincinv(a, b, self.site_uniforms(*path)))
        return np.minimum(mean * drawn * (a + b) / a, 1.0)

    def row_uniforms(self, *path: str) -> Floats:
        """Uniforms in (0, 1) of the rows, [R], for the quantity that `path` names."""
        return inside(scatter(key(self.seed, "shift", *path, "rows"), self.row_word))

    def misread(self, yes: Bools, missed: float, false: float, kind: str, laws: tuple[str, str], name: str) -> Bools:
        """A yes-or-no fact [R] as tests of the sites' own sensitivity and specificity read it.

        Over sites, 1 - sensitivity is Beta(2, 40) and 1 - specificity Beta(2, 60), scaled to the means `missed` and
        `false`; `laws` are the names that key the two.
        """
        lost = self.affected(self.site_shares(missed, 2, 40, kind, laws[0], name), kind, "missed", name)
        seen = self.affected(self.site_shares(false, 2, 60, kind, laws[1], name), kind, "false", name)
        return np.where(yes, ~lost, seen)

    def affected(self, share: Floats, *path: str) -> Bools:
        """Rows chosen with the probability of their site; [S] -> [R]. A larger one keeps the rows of a smaller one."""
        return self.row_uniforms(*path) < share[self.site]


def column(table: pd.DataFrame, name: str, setting: str) -> pd.Series:
    """Column that a setting names; refuses a name that the table lacks, and lists those it has."""
    one_of(setting, name, map(str, table.columns), "Name another, or leave it out.")
    series: pd.Series = table[name]
    return series


def numbers(table: pd.DataFrame, name: str, setting: str) -> Floats:
    """Numbers of a column, [R], NaN where not recorded; flags are 0 and 1. Refuses a column of another type."""
    series = column(table, name, setting)
    if not (pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)):
        raise Refused(f"{setting}: column {name!r} holds {series.dtype}; allowed numbers and flags.")
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def flags(table: pd.DataFrame, name: str, setting: str) -> Floats:
    """0, 1 or NaN of a yes-or-no column, [R]; refuses a column with other numbers."""
    value = numbers(table, name, setting)
    if not np.isin(value[~np.isnan(value)], (0, 1)).all():
        raise Refused(f"{setting}: column {name!r} holds numbers other than 0 and 1; allowed yes-or-no columns.")
    return value


def in_type_of(value: Floats, like: pd.Series) -> NDArray[np.generic]:
    """Values [R] in the type of the column `like` where it can hold them: flags stay flags unless there are gaps."""
    if pd.api.types.is_bool_dtype(like) and not np.isnan(value).any():
        return value.astype(bool)
    return value


def recoded(series: pd.Series, code: NDArray[np.integer]) -> pd.Series:
    """A categorical column with other codes [R], -1 = not recorded."""
    assert isinstance(series.dtype, pd.CategoricalDtype)
    return pd.Series(pd.Categorical.from_codes(code, dtype=series.dtype), index=series.index)


def moments(value: Floats) -> tuple[float, float]:
    """Mean and standard deviation of the recorded values of [R]; (0, 0) if there is none.

    Summed in order of size, so that the order of the rows does not change the last bit.
    """
    known = np.sort(value[~np.isnan(value)])
    return (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)


def refuse_repeats(values: Sequence[str], setting: str) -> None:
    """Refuse a list of columns in which one is named twice."""
    for value in values:
        if list(values).count(value) > 1:
            raise Refused(f"{setting}: {value!r} is named twice. Name it once.")


def event_outcomes(table: pd.DataFrame, outcomes: Mapping[str, Outcome]) -> dict[str, Binary | Survival]:
    """Outcomes with an event that can be missed or recorded falsely: survival, and binary ones known of everybody."""
    return {
        name: outcome
        for name, outcome in outcomes.items()
        if isinstance(outcome, Survival) or (isinstance(outcome, Binary) and bool(table[outcome.label].notna().all()))
    }
