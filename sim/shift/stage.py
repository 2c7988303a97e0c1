"""Stage migration: the same disease is recorded a stage higher where more is looked for (Will Rogers phenomenon)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from sim.shift.base import Dials, Where, column, recoded


@dataclass
class StageMigration(Dials):
    """Recorded stage moves one level up or down; the disease, and what becomes of it, stay.

    Reference: PET/CT moved 13 % of patients up and 3 % down (J Nucl Med 2009).
    """

    kind: ClassVar[str] = "stage"
    at_one: ClassVar[Mapping[str, float]] = {"upstage": 0.08, "downstage": 0.08 * 3 / 13}
    limits: ClassVar[Mapping[str, float]] = {"upstage": 0.5, "downstage": 0.5}

    column: str = "stage"  # ordered levels, or numbers of which each is a stage
    upstage: float | None = None  # 0..0.5; a site's chance is U(0, this); 0.16 is hard
    downstage: float | None = None  # 0..0.5; as above

    def __post_init__(self) -> None:
        self.check()

    def apply(self, table: pd.DataFrame, where: Where, het: float) -> pd.DataFrame:
        """The stage column as it was recorded."""
        if not self.column:
            return table
        series = column(table, self.column, "shift.stage.column")
        up, down = (self.dial(name, het) * where.sites("stage", name) for name in ("upstage", "downstage"))
        u = where.rows("stage")
        step = (u < up[where.site]).astype(np.int64) - (u > 1 - down[where.site])
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
