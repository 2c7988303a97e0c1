"""Stage migration: more thorough diagnostics record the same disease at a higher stage (Will Rogers phenomenon)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.lazy import pd
from sim.shift.base import ShiftDials, SiteDraws, column, recoded


@dataclass
class StageMigration(ShiftDials):
    """The recorded stage moves one level up or down; the disease and its course stay the same.

    Source of the values at het = 1: PET/CT moved 13 % of patients up and 3 % down (J Nucl Med 2009).
    """

    kind: ClassVar[str] = "stage"
    at_het_one: ClassVar[Mapping[str, float]] = {"upstage": 0.08, "downstage": 0.08 * 3 / 13}
    limits: ClassVar[Mapping[str, float]] = {"upstage": 0.5, "downstage": 0.5}

    column: str = "stage"  # ordered levels, or numbers, each of which is a stage; empty = no shift
    upstage: float | None = None  # 0..0.5; a site's probability is U(0, this); 0.16 is a strong shift
    downstage: float | None = None  # 0..0.5; as above

    def __post_init__(self) -> None:
        self.check()

    def apply(self, table: pd.DataFrame, draws: SiteDraws, het: float) -> pd.DataFrame:
        """The table with the stage as the sites recorded it."""
        if not self.column:
            return table
        series = column(table, self.column, "shift.stage.column")
        up, down = (self.value(name, het) * draws.site_uniforms("stage", name) for name in ("upstage", "downstage"))
        u = draws.row_uniforms("stage")
        step = (u < up[draws.site]).astype(np.int64) - (u > 1 - down[draws.site])
        if isinstance(series.dtype, pd.CategoricalDtype):
            code, top = series.cat.codes.to_numpy().astype(np.int64), len(series.cat.categories) - 1
        else:
            code, levels = pd.factorize(series, sort=True)
            top = len(levels) - 1
        moved = np.where(code < 0, -1, np.clip(code + step, 0, top))
        if isinstance(series.dtype, pd.CategoricalDtype):
            return table.assign(**{self.column: recoded(series, moved)})
        found = pd.Series(levels.take(np.maximum(moved, 0)), index=table.index, dtype=series.dtype)
        return table.assign(**{self.column: found.where(moved >= 0)})
