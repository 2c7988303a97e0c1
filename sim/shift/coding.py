"""Coding shift: sites write the same fact down in different units and from different lists of codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from sim.checks import Refused, within
from sim.shift.base import Changed, Dials, Where, column, named, numbers, recoded


@dataclass
class Coding(Dials):
    """Units, categories that a site's form lacks, and race not asked.

    Reference: race is unknown for 2 to 15 % by site. For the other two no rate is published, so `het` leaves them.
    """

    kind: ClassVar[str] = "coding"
    at_one: ClassVar[Mapping[str, float]] = {"unknown": 0.15}
    limits: ClassVar[Mapping[str, float]] = {"units": 1.0, "coarse": 1.0, "unknown": 1.0}

    factors: dict[str, float] = field(default_factory=lambda: {"age_years": 365.25})  # column -> other unit per unit
    categories: list[str] = field(default_factory=lambda: ["race"])  # categorical columns
    other: str = "other"  # the level for a category that the form lacks; where a column has none, it is not recorded
    units: float | None = None  # 0..1; a site enters U(0, this) of the rows in the other unit
    coarse: float | None = None  # 0..1; chance that a site's form lacks a category
    unknown: float | None = None  # 0..1; a site does not record U(2/15, 1) x this of the rows

    def __post_init__(self) -> None:
        self.check()
        named(self.categories, "shift.coding.categories")
        for name, factor in self.factors.items():
            within(f"shift.coding.factors.{name}", factor, 0, open_low=True)

    def apply(self, table: pd.DataFrame, where: Where, het: float) -> pd.DataFrame:
        """Columns as the sites write them."""
        changed: Changed = {}
        units = self.dial("units", het)
        for name, factor in self.factors.items() if units else ():
            value = numbers(table, name, "shift.coding.factors")
            swapped = where.hit(units * where.sites("coding", "units", name), "coding", "units", name)
            changed[name] = np.where(swapped, factor * value, value)
        coarse, unknown = self.dial("coarse", het), self.dial("unknown", het)
        for name in self.categories if coarse or unknown else []:
            series = column(table, name, "shift.coding.categories")
            if not isinstance(series.dtype, pd.CategoricalDtype):
                raise Refused(f"shift.coding.categories: column {name!r} holds {series.dtype}; allowed categories.")
            code, levels = series.cat.codes.to_numpy().astype(np.int64), list(map(str, series.cat.categories))
            spare = levels.index(self.other) if self.other in levels else -1
            for at, level in enumerate(levels):
                lacks = where.sites("coding", "coarse", name, level) < coarse
                code = np.where((code == at) & lacks[where.site], spare, code) if at != spare else code
            share = unknown * (2 + 13 * where.sites("coding", "unknown", name)) / 15
            code = np.where(where.hit(share, "coding", "unknown", name), -1, code)
            changed[name] = recoded(series, code)
        return table.assign(**changed)
