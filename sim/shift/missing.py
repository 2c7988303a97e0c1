"""Missing values: whole blocks of columns that a site lacks, and gaps that depend on the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy

from sim.arrays import Bools, Floats
from sim.checks import within
from sim.cohort.ordered import as_numbers
from sim.lazy import pd
from sim.random import key, scatter, uniform
from sim.shift.base import NewColumns, ShiftDials, SiteDraws, Values, column, moments, numbers, recoded, refuse_repeats

MOST = 0.8  # highest rate of gaps of a site and column


@dataclass
class Missing(ShiftDials):
    """Gaps by `logit P(missing) = logit rate + mar x driver + mnar x value`, and blocks of columns that are absent.

    With mar = mnar = 0 gaps are missing completely at random. Values at het = 1: rate ~ Beta(2, 8) by site and column;
    mar = 0.5 for frail patients (NCDB, JAMA Netw Open 2021: incomplete records are prognostic); a block is absent at
    one site in five.
    """

    kind: ClassVar[str] = "missing"
    at_het_one: ClassVar[Mapping[str, float]] = {"panel": 0.2, "rate": 0.2, "mar": 0.5, "mnar": 0.2}
    limits: ClassVar[Mapping[str, float]] = {"panel": 1.0, "rate": MOST, "mar": 10.0, "mnar": 10.0}

    blocks: dict[str, list[str]] = field(
        default_factory=lambda: {"markers": ["marker_1", "marker_2"], "score": ["score_z"]}
    )
    vendors: int = 3  # >= 0 vendors of records systems; their sites lack the same blocks; 0 = each site for itself
    driver: str = "frail"  # column that gaps depend on by mar: a flag, or a number in standard deviations
    panel: float | None = None  # 0..1; probability that a block is absent at a vendor
    rate: float | None = None  # 0..0.8; mean share of gaps over sites and columns
    mar: float | None = None  # 0..10; logit per unit of the driver
    mnar: float | None = None  # 0..10; logit per standard deviation of the value itself

    def __post_init__(self) -> None:
        self.check()
        within("shift.missing.vendors", self.vendors, 0)
        refuse_repeats([name for block in self.blocks.values() for name in block], "shift.missing.blocks")

    def active(self, het: float) -> bool:
        """Whether there are gaps: mar and mnar only say whose values are missing, and not how many."""
        return self.value("panel", het) > 0 or self.value("rate", het) > 0

    def apply(self, table: pd.DataFrame, draws: SiteDraws, het: float) -> pd.DataFrame:
        """The table with its gaps; every block is present at one site at least."""
        changed: NewColumns = {}
        panel, rate = self.value("panel", het), self.value("rate", het)
        driver = self.driver_logit(table, self.value("mar", het)) if rate else np.zeros(len(table))
        for block, names in self.blocks.items():
            absent = self.absent(draws, block, panel)
            for name in names:
                series = column(table, name, f"shift.missing.blocks.{block}")
                gap = absent[draws.site]
                if rate:
                    gap |= draws.row_uniforms("missing", name) < self.gap_probability(
                        table, name, draws, rate, driver, het
                    )
                changed[name] = with_gaps(series, gap)
        return table.assign(**changed)

    def absent(self, draws: SiteDraws, block: str, panel: float) -> Bools:
        """Whether a site lacks the block, [S]. If all would lack it, the site with the largest uniform keeps it."""
        u = draws.site_uniforms("missing", "panel", block)
        if self.vendors:
            vendor = (draws.site_uniforms("missing", "vendor") * self.vendors).astype(np.int64)
            u = uniform(scatter(key(draws.seed, "shift", "missing", "panel", block, "vendor"), vendor))
        absent = u < panel
        if absent.all():
            absent[u == u.max()] = False
        return absent

    def driver_logit(self, table: pd.DataFrame, mar: float) -> Floats:
        """What the driver adds to the logit of a gap, [R]; 0 where it is not recorded."""
        if not mar or not self.driver:
            return np.zeros(len(table))
        value = numbers(table, self.driver, "shift.missing.driver")
        if not pd.api.types.is_bool_dtype(table[self.driver]):
            value = standardised(value)
        return np.asarray(mar * np.nan_to_num(value, nan=0.0))

    def gap_probability(
        self, table: pd.DataFrame, name: str, draws: SiteDraws, rate: float, driver: Floats, het: float
    ) -> Floats:
        """Probability of a gap in every row of a column, [R]; `driver` [R] is that of `driver_logit`."""
        share = np.minimum(draws.site_shares(rate, 2, 8, "missing", "rate", name), MOST)
        score = scipy.special.logit(share)[draws.site] + driver
        if mnar := self.value("mnar", het):
            score += mnar * np.nan_to_num(
                standardised(as_numbers(table[name], f"shift.missing.blocks: {name!r}")), nan=0.0
            )
        return np.asarray(scipy.special.expit(score))


def standardised(value: Floats) -> Floats:
    """Numbers in standard deviations from their mean, NaN kept; a constant becomes 0; [R] -> [R]."""
    mean, sd = moments(value)
    return np.asarray((value - mean) / (sd or 1.0))


def with_gaps(series: pd.Series, gap: Bools) -> Values:
    """A column with gaps where `gap` [R] is True: categories stay categories, flags become numbers with NaN."""
    if not gap.any():
        return series
    if isinstance(series.dtype, pd.CategoricalDtype):
        return recoded(series, np.where(gap, -1, series.cat.codes.to_numpy()))
    return np.where(gap, np.nan, series.to_numpy(dtype=np.float64, na_value=np.nan))
