"""Missing values: whole blocks that a site does not have, and gaps that depend on the patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from sim.arrays import Bools, Floats
from sim.checks import within
from sim.cohort.ordered import counted
from sim.random import key, scatter, uniform
from sim.shift.base import Changed, Dials, Values, Where, column, moments, named, numbers, recoded

MOST = 0.8  # share of gaps that a site's own rate may reach


@dataclass
class Missing(Dials):
    """Gaps by site and patient: logit P(missing) = logit rate + mar x driver + mnar x value, and absent blocks.

    With mar = mnar = 0 gaps are completely at random. References at het = 1: rate ~ Beta(2, 8) by site and column, 0.5
    for the frail (NCDB, JAMA Netw Open 2021: incomplete records are prognostic); a panel is absent at one site in five.
    """

    kind: ClassVar[str] = "missing"
    at_one: ClassVar[Mapping[str, float]] = {"panel": 0.2, "rate": 0.2, "mar": 0.5, "mnar": 0.2}
    limits: ClassVar[Mapping[str, float]] = {"panel": 1.0, "rate": MOST, "mar": 10.0, "mnar": 10.0}

    blocks: dict[str, list[str]] = field(
        default_factory=lambda: {"markers": ["marker_1", "marker_2"], "score": ["score_z"]}
    )
    vendors: int = 3  # >= 0; sites of one vendor of records lack the same blocks; 0 = each site for itself
    driver: str = "frail"  # column that gaps depend on under mar: a flag, or a number in standard deviations
    panel: float | None = None  # 0..1; chance that a block is absent at a vendor
    rate: float | None = None  # 0..0.8; mean share of gaps over sites and columns
    mar: float | None = None  # 0..10; logit per unit of the driver
    mnar: float | None = None  # 0..10; logit per standard deviation of the value itself

    def __post_init__(self) -> None:
        self.check()
        within("shift.missing.vendors", self.vendors, 0)
        named([name for block in self.blocks.values() for name in block], "shift.missing.blocks")

    def on(self, het: float) -> bool:
        """Whether there are gaps at all: the other two dials only say whose they are."""
        return self.dial("panel", het) > 0 or self.dial("rate", het) > 0

    def apply(self, table: pd.DataFrame, where: Where, het: float) -> pd.DataFrame:
        """The table with gaps; a block is always left at one site at least."""
        changed: Changed = {}
        panel, rate = self.dial("panel", het), self.dial("rate", het)
        driven = self.driven(table, self.dial("mar", het)) if rate else np.zeros(len(table))
        for block, names in self.blocks.items():
            absent = self.absent(where, block, panel)
            for name in names:
                series = column(table, name, f"shift.missing.blocks.{block}")
                gap = absent[where.site]
                if rate:
                    gap |= where.rows("missing", name) < self.chance(table, name, where, rate, driven, het)
                changed[name] = blanked(series, gap)
        return table.assign(**changed)

    def absent(self, where: Where, block: str, panel: float) -> Bools:
        """Sites without the block, bool [S]. Were it gone everywhere, the site nearest to having it keeps it."""
        own = where.sites("missing", "panel", block)
        if self.vendors:
            vendor = (where.sites("missing", "vendor") * self.vendors).astype(np.int64)
            own = uniform(scatter(key(where.seed, "shift", "missing", "panel", block, "vendor"), vendor))
        absent = own < panel
        if absent.all():
            absent[own == own.max()] = False
        return absent

    def driven(self, table: pd.DataFrame, mar: float) -> Floats:
        """What the driver adds to the logit, [R]."""
        if not mar or not self.driver:
            return np.zeros(len(table))
        value = numbers(table, self.driver, "shift.missing.driver")
        if not pd.api.types.is_bool_dtype(table[self.driver]):
            value = standard(value)
        return np.asarray(mar * np.nan_to_num(value, nan=0.0))

    def chance(self, table: pd.DataFrame, name: str, where: Where, rate: float, driven: Floats, het: float) -> Floats:
        """Chance of a gap in every row of a column, [R]."""
        share = np.minimum(where.shares(rate, 2, 8, "missing", "rate", name), MOST)
        at = logit(share)[where.site] + driven
        if mnar := self.dial("mnar", het):
            at += mnar * np.nan_to_num(standard(counted(table[name], f"shift.missing.blocks: {name!r}")), nan=0.0)
        return np.asarray(expit(at))


def standard(value: Floats) -> Floats:
    """Numbers about their mean in standard deviations; a constant is 0."""
    mean, sd = moments(value)
    return np.asarray((value - mean) / (sd or 1.0))


def blanked(series: pd.Series, gap: Bools) -> Values:
    """A column with gaps: categories stay categories, flags become numbers with NaN."""
    if not gap.any():
        return series
    if isinstance(series.dtype, pd.CategoricalDtype):
        return recoded(series, np.where(gap, -1, series.cat.codes.to_numpy()))
    return np.where(gap, np.nan, series.to_numpy(dtype=np.float64, na_value=np.nan))
