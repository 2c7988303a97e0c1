"""Coding shift: sites record the same fact in different units and with different lists of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sim.checks import Refused, within
from sim.lazy import pd
from sim.shift.base import NewColumns, ShiftDials, SiteDraws, column, numbers, recoded, refuse_repeats


@dataclass
class Coding(ShiftDials):
    """Other units, categories that a site's form lacks, and categories not recorded.

    Source of the value at het = 1: race is unknown for 2 to 15 % of patients by site. No rate is published for units
    and lacking categories, so `het` does not set them.
    """

    kind: ClassVar[str] = "coding"
    at_het_one: ClassVar[Mapping[str, float]] = {"unknown": 0.15}
    limits: ClassVar[Mapping[str, float]] = {"units": 1.0, "coarse": 1.0, "unknown": 1.0}

    factors: dict[str, float] = field(default_factory=lambda: {"age_years": 365.25})  # column -> other unit per unit
    categories: list[str] = field(default_factory=lambda: ["race"])  # categorical columns
    other: str = "other"  # the level for a category that the form lacks; where a column has none, it is not recorded
    units: float | None = None  # 0..1; a site enters U(0, this) of the rows in the other unit
    coarse: float | None = None  # 0..1; probability that a site's form lacks a category
    unknown: float | None = None  # 0..1; a site does not record U(2/15, 1) x this of the rows

    def __post_init__(self) -> None:
        self.check()
        refuse_repeats(self.categories, "shift.coding.categories")
        for name, factor in self.factors.items():
            within(f"shift.coding.factors.{name}", factor, 0, open_low=True)

    def apply(self, table: pd.DataFrame, draws: SiteDraws, het: float) -> pd.DataFrame:
        """The table with its columns in the units and codes of the sites."""
        changed: NewColumns = {}
        units = self.value("units", het)
        for name, factor in self.factors.items() if units else ():
            value = numbers(table, name, "shift.coding.factors")
            swapped = draws.affected(units * draws.site_uniforms("coding", "units", name), "coding", "units", name)
            changed[name] = np.where(swapped, factor * value, value)
        coarse, unknown = self.value("coarse", het), self.value("unknown", het)
        for name in self.categories if coarse or unknown else []:
            series = column(table, name, "shift.coding.categories")
            if not isinstance(series.dtype, pd.CategoricalDtype):
                raise Refused(f"shift.coding.categories: column {name!r} holds {series.dtype}; allowed categories.")
            code, levels = series.cat.codes.to_numpy().astype(np.int64), list(map(str, series.cat.categories))
            spare = levels.index(self.other) if self.other in levels else -1
            for number, level in enumerate(levels):
                lacks = draws.site_uniforms("coding", "coarse", name, level) < coarse
                code = np.where((code == number) & lacks[draws.site], spare, code) if number != spare else code
            share = unknown * (2 + 13 * draws.site_uniforms("coding", "unknown", name)) / 15
            code = np.where(draws.affected(share, "coding", "unknown", name), -1, code)
            changed[name] = recoded(series, code)
        return table.assign(**changed)
