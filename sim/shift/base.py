"""Dials of a shift, and the keyed numbers that turn a dial into what one site or one patient gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from sim.arrays import Bools, Floats, Ints, Names, Words
from sim.checks import Refused, one_of, within
from sim.cohort.outcomes import Binary, Outcome, Survival
from sim.cohort.table import Cohort
from sim.factorize import coded
from sim.random import inside, key, scatter, site_keys

Values = NDArray[np.generic] | pd.Series
Changed = dict[str, Values]  # columns of a table, made anew


class Dials:
    """One kind of shift. A dial that is None follows `shift.het`: het times its value in `at_one`, 0 if not there."""

    kind: ClassVar[str] = ""  # name under `shift`
    at_one: ClassVar[Mapping[str, float]] = {}
    limits: ClassVar[Mapping[str, float]] = {}  # every dial, and the most it may be

    def check(self) -> None:
        """Refuse dials out of range."""
        for name, most in self.limits.items():
            own = getattr(self, name)
            if own is not None:
                within(f"shift.{self.kind}.{name}", own, 0, most)

    def dial(self, name: str, het: float) -> float:
        """Where a dial stands."""
        own = getattr(self, name)
        return min(het * self.at_one.get(name, 0.0), self.limits[name]) if own is None else float(own)

    def on(self, het: float) -> bool:
        """Whether any dial is above 0."""
        return any(self.dial(name, het) > 0 for name in self.limits)

    def turned(self, het: float) -> list[str]:
        """Settings that stand above 0: dials of their own, and `shift.het` for those that follow it."""
        up = [name for name in self.limits if self.dial(name, het) > 0]
        return ["shift.het" if getattr(self, name) is None else f"shift.{self.kind}.{name}" for name in up]

    def explicit(self, *names: str) -> bool:
        """Whether the user turned one of these dials up, rather than `het` alone."""
        return any((getattr(self, name) or 0) > 0 for name in names)


@dataclass(frozen=True)
class Where:
    """R rows at S sites, and uniforms that belong to a site's name or to a patient, whatever else there is."""

    seed: int
    names: Names  # [S]
    site: Ints  # [R]
    site_word: Words  # [S]
    row_word: Words  # [R] of the patient: all rows of a patient share their numbers

    @classmethod
    def of(cls, cohort: Cohort, sites: Names, seed: int) -> "Where":
        """Keys of a cohort's rows and sites."""
        names, site = coded(sites)
        words = site_keys(tuple(str(name) for name in names))
        return cls(seed, names, site, words, cohort.patients.word)

    def sites(self, *path: str) -> Floats:
        """A uniform in (0, 1) for every site, [S]."""
        return inside(scatter(key(self.seed, "shift", *path), self.site_word))

    def normals(self, *path: str) -> Floats:
        """A standard normal for every site, [S]."""
        return np.asarray(ndtri(self.sites(*path)))

    def shares(self, mean: float, a: float, b: float, *path: str) -> Floats:
        """A share for every site, [S]: Beta(a, b), scaled to have this mean (and cut at 1)."""
        drawn = np.asarray(betaincinv(a, b, self.sites(*path)))
        return np.minimum(mean * drawn * (a + b) / a, 1.0)

    def rows(self, *path: str) -> Floats:
        """A uniform in (0, 1) for every row, [R]."""
        return inside(scatter(key(self.seed, "shift", *path, "rows"), self.row_word))

    def misread(self, yes: Bools, missed: float, false: float, kind: str, laws: tuple[str, str], name: str) -> Bools:
        """A yes-or-no fact [R] as the sites read it: `missed` and `false` are means over sites of the shares misread.

        1 - sensitivity is Beta(2, 40), 1 - specificity Beta(2, 60) over sites, scaled to these means; `laws` key them.
        """
        lost = self.hit(self.shares(missed, 2, 40, kind, laws[0], name), kind, "missed", name)
        seen = self.hit(self.shares(false, 2, 60, kind, laws[1], name), kind, "false", name)
        return np.where(yes, ~lost, seen)

    def hit(self, share: Floats, *path: str) -> Bools:
        """Rows that happen with the share of their site, bool [R]; a larger share keeps those of a smaller one."""
        return self.rows(*path) < share[self.site]


def column(table: pd.DataFrame, name: str, setting: str) -> pd.Series:
    """A column that a setting names, or a refusal with those that are there."""
    one_of(setting, name, map(str, table.columns), "Name another, or leave it out.")
    series: pd.Series = table[name]
    return series


def numbers(table: pd.DataFrame, name: str, setting: str) -> Floats:
    """Numbers of a column, NaN where not recorded; flags are 0 and 1; [R]."""
    series = column(table, name, setting)
    if not (pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)):
        raise Refused(f"{setting}: column {name!r} holds {series.dtype}; allowed numbers and flags.")
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def flags(table: pd.DataFrame, name: str, setting: str) -> Floats:
    """0, 1 or NaN of a yes-or-no column; [R]."""
    value = numbers(table, name, setting)
    if not np.isin(value[~np.isnan(value)], (0, 1)).all():
        raise Refused(f"{setting}: column {name!r} holds other numbers than 0 and 1; allowed yes-or-no columns.")
    return value


def restored(value: Floats, like: pd.Series) -> NDArray[np.generic]:
    """Numbers in the kind of their column where it can hold them: flags stay flags unless there are gaps."""
    if pd.api.types.is_bool_dtype(like) and not np.isnan(value).any():
        return value.astype(bool)
    return value


def recoded(series: pd.Series, code: NDArray[np.integer]) -> pd.Series:
    """A categorical column with other codes, -1 = not recorded."""
    assert isinstance(series.dtype, pd.CategoricalDtype)
    return pd.Series(pd.Categorical.from_codes(code, dtype=series.dtype), index=series.index)


def moments(value: Floats) -> tuple[float, float]:
    """Mean and standard deviation of the recorded values; summed in order of size, for rows may come in any order."""
    there = np.sort(value[~np.isnan(value)])
    return (float(there.mean()), float(there.std())) if len(there) else (0.0, 0.0)


def named(values: Sequence[str], setting: str) -> None:
    """Refuse a column that is named twice."""
    for value in values:
        if list(values).count(value) > 1:
            raise Refused(f"{setting}: {value!r} is named twice. Name it once.")


def happenings(table: pd.DataFrame, outcomes: Mapping[str, Outcome]) -> dict[str, Binary | Survival]:
    """The outcomes that happen or not, and are known of everybody; classes are no events to be missed."""
    return {
        name: outcome
        for name, outcome in outcomes.items()
        if isinstance(outcome, Survival) or (isinstance(outcome, Binary) and bool(table[outcome.label].notna().all()))
    }
