"""Case mix: how the levels of every column are distributed over the sites, and how far that is from chance."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype

from sim.arrays import Bools, Floats, Ints, Names
from sim.cohort.outcomes import Categorical
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.partition.columns import GAP, level_codes
from sim.random import key, scatter

FIFTHS = 5  # groups of equal size that a number is cut into


class Mix(NamedTuple):
    """Rows of every site at every level of one column."""

    column: str
    levels: tuple[str, ...]  # [L]; those of a number are fifths of the cohort; gaps are one more
    counts: Ints  # [S, L]

    @property
    def shares(self) -> Floats:
        """Share of every level at every site, [S, L]; every row sums to 1."""
        return np.asarray(self.counts / self.counts.sum(1, keepdims=True))

    @property
    def overall(self) -> Floats:
        """Share of every level in all sites together, [L]."""
        return np.asarray(self.counts.sum(0) / self.counts.sum())

    def total_variation(self) -> float:
        """Total variation distance of a site from all sites together, in [0, 1]; mean over sites, weighted by rows."""
        return self.site_mean(total_variation(self.shares, self.overall))

    def jensen_shannon(self) -> float:
        """Jensen-Shannon divergence of a site from all sites together, bits; mean over sites, weighted by rows."""
        return self.site_mean(jensen_shannon(self.shares, self.overall))

    def site_mean(self, values: Floats) -> float:
        """Mean over sites, weighted by rows; [S] -> scalar."""
        rows = self.counts.sum(1)
        return float(values @ rows / rows.sum())


def mixes(cohort: Cohort, outcome: str, site: Ints, sites: int) -> list[Mix]:
    """Mix of the event, or of the classes, and of every predictor of an outcome; site int [R]."""
    kind = cohort.outcome(outcome)
    if isinstance(kind, Categorical):
        found = [mix_of(f"{outcome}: classes", cohort.table[kind.label], site, sites)]
    else:
        found = [mix_of(f"{outcome}: event", cohort.events(outcome), site, sites)]
    return found + [mix_of(name, cohort.table[name], site, sites) for name in cohort.predictors[outcome]]


def mix_of(name: str, values: pd.Series | Bools, site: Ints, sites: int) -> Mix:
    """Mix of a column, [R]: its levels, or fifths where it is a number of more than five values; site int [R]."""
    series = pd.Series(values)
    if isinstance(series.dtype, pd.CategoricalDtype) or is_bool_dtype(series) or series.nunique() <= FIFTHS:
        code, levels = level_codes(series)
    else:
        number = series.to_numpy(dtype=np.float64, na_value=np.nan)
        ends = np.nanquantile(number, np.arange(1, FIFTHS) / FIFTHS)
        code = np.where(np.isnan(number), -1, np.searchsorted(ends, number, side="left"))
        written = [f"{end:.3g}" for end in ends]
        levels = (f"<= {written[0]}", *(f"to {end}" for end in written[1:]), f"> {written[-1]}")
    if (code < 0).any():
        code, levels = np.where(code < 0, len(levels), code), (*levels, GAP)
    counts = np.bincount(site * len(levels) + code, minlength=sites * len(levels))
    return Mix(name, levels, counts.reshape(sites, len(levels)))


def column_skews(cohort: Cohort, outcome: str, sites: Names) -> pd.DataFrame:
    """Skew of every column between sites [R]: one row per column, with total_variation and jensen_shannon.

    `by_chance` is the total variation if sites of the same sizes held random patients: small sites differ by chance
    alone, and only what exceeds it is skew. It comes from one shuffle of the patients, by their hash.
    """
    names, site = factorize(sites)
    patients = cohort.patients
    shuffled = np.argsort(scatter(key(0, "partition", "chance"), patients.word[patients.first]), kind="stable")
    by_chance = mixes(cohort, outcome, site[patients.first][shuffled][patients.inverse], len(names))
    rows = [
        (mix.column, len(mix.levels), mix.total_variation(), chance.total_variation(), mix.jensen_shannon())
        for mix, chance in zip(mixes(cohort, outcome, site, len(names)), by_chance, strict=True)
    ]
    return pd.DataFrame(rows, columns=["column", "levels", "total_variation", "by_chance", "jensen_shannon"])


def total_variation(shares: Floats, overall: Floats) -> Floats:
    """Total variation distance of every row from one distribution, in [0, 1]; [S, L], [L] -> [S].

    Half the sum of the absolute differences.
    """
    return np.asarray(np.abs(shares - overall).sum(-1) / 2)


def jensen_shannon(shares: Floats, overall: Floats) -> Floats:
    """Jensen-Shannon divergence of every row from one distribution, in bits; [S, L], [L] -> [S].

    Lin, IEEE Transactions on Information Theory 1991.
    """
    return np.asarray(entropy((shares + overall) / 2) - (entropy(shares) + entropy(overall)) / 2)


def entropy(shares: Floats) -> Floats:
    """Entropy of distributions over the last axis, in bits; [..., L] -> [...]."""
    return np.asarray(-(shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum(-1))
