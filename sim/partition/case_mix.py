"""Case mix: how the levels of every column are spread over the sites, and how far that is from chance."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype

from sim.arrays import Bools, Floats, Ints
from sim.cohort.outcomes import Categorical
from sim.cohort.table import Cohort
from sim.factorize import coded as coded_names
from sim.partition.base import Sites
from sim.partition.columns import GAP, coded
from sim.random import key, scatter

FIFTHS = 5


class Mix(NamedTuple):
    """One column: rows of every site at every level."""

    column: str
    levels: tuple[str, ...]  # a number's are fifths of the cohort; gaps are one more
    counts: Ints  # [S, L]

    @property
    def shares(self) -> Floats:
        """Share of every level at every site, rows sum to 1; [S, L]."""
        return np.asarray(self.counts / self.counts.sum(1, keepdims=True))

    @property
    def whole(self) -> Floats:
        """Share of every level of all sites together, [L]."""
        return np.asarray(self.counts.sum(0) / self.counts.sum())

    def total_variation(self) -> float:
        """Half the summed absolute difference from the whole, in [0, 1]; mean over sites by rows."""
        return self.mean(variation(self.shares, self.whole))

    def jensen_shannon(self) -> float:
        """Jensen-Shannon divergence from the whole, bits; mean over sites by rows."""
        return self.mean(divergence(self.shares, self.whole))

    def mean(self, of_site: Floats) -> float:
        """Mean over sites by rows."""
        rows = self.counts.sum(1)
        return float(of_site @ rows / rows.sum())


def mixes(cohort: Cohort, outcome: str, site: Ints, sites: int) -> list[Mix]:
    """The event, or the classes, and every predictor of an outcome; site [R]."""
    kind = cohort.outcome(outcome)
    if isinstance(kind, Categorical):
        found = [tabled(f"{outcome}: classes", cohort.table[kind.label], site, sites)]
    else:
        found = [tabled(f"{outcome}: event", cohort.events(outcome), site, sites)]
    return found + [tabled(name, cohort.table[name], site, sites) for name in cohort.predictors[outcome]]


def tabled(name: str, values: pd.Series | Bools, site: Ints, sites: int) -> Mix:
    """Rows of every site at every level of a column."""
    series = pd.Series(values)
    if isinstance(series.dtype, pd.CategoricalDtype) or is_bool_dtype(series) or series.nunique() <= FIFTHS:
        code, levels = coded(series)
    else:
        number = series.to_numpy(dtype=np.float64, na_value=np.nan)
        ends = np.nanquantile(number, np.arange(1, FIFTHS) / FIFTHS)
        code = np.where(np.isnan(number), -1, np.searchsorted(ends, number, side="left"))
        shown = [f"{end:.3g}" for end in ends]
        levels = (f"<= {shown[0]}", *(f"to {end}" for end in shown[1:]), f"> {shown[-1]}")
    if (code < 0).any():
        code, levels = np.where(code < 0, len(levels), code), (*levels, GAP)
    counts = np.bincount(site * len(levels) + code, minlength=sites * len(levels))
    return Mix(name, levels, counts.reshape(sites, len(levels)))


def skews(cohort: Cohort, outcome: str, sites: Sites) -> pd.DataFrame:
    """Skew of every column: total_variation and jensen_shannon, and the first if the same sites held random patients.

    Small sites differ by chance alone, so that only what exceeds `by_chance` is skew. One shuffle of the patients, by
    their hash.
    """
    names, site = coded_names(sites)
    whose = cohort.patients
    mixed = np.argsort(scatter(key(0, "partition", "chance"), whose.word[whose.first]), kind="stable")
    chance = mixes(cohort, outcome, site[whose.first][mixed][whose.back], len(names))
    rows = [
        (mix.column, len(mix.levels), mix.total_variation(), luck.total_variation(), mix.jensen_shannon())
        for mix, luck in zip(mixes(cohort, outcome, site, len(names)), chance, strict=True)
    ]
    return pd.DataFrame(rows, columns=["column", "levels", "total_variation", "by_chance", "jensen_shannon"])


def variation(shares: Floats, whole: Floats) -> Floats:
    """Total variation distance of distributions over the last axis from one of them, in [0, 1]; [S, L] -> [S]."""
    return np.asarray(np.abs(shares - whole).sum(-1) / 2)


def divergence(shares: Floats, whole: Floats) -> Floats:
    """Jensen-Shannon divergence of distributions over the last axis from one of them, bits: Lin 1991; [S, L] -> [S]."""
    return np.asarray(entropy((shares + whole) / 2) - (entropy(shares) + entropy(whole)) / 2)


def entropy(shares: Floats) -> Floats:
    """Entropy over the last axis, bits."""
    return np.asarray(-(shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum(-1))
