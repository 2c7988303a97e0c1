"""Assay shift: sites measure the same thing with different instruments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sim.shift.base import Dials, Where, flags, moments, named, numbers, restored


@dataclass
class Assay(Dials):
    """A number becomes gain x number + offset + noise, a flag is read with the site's sensitivity and specificity.

    References at het = 1: datasets/calibrated/centres.yaml. Beta(2, 40) and Beta(2, 60) are the laws over sites.
    """

    kind: ClassVar[str] = "assay"
    at_one: ClassVar[Mapping[str, float]] = {
        "gain": 0.15,
        "offset": 0.25,
        "noise": 0.2,
        "insensitivity": 2 / 42,
        "unspecificity": 2 / 62,
    }
    limits: ClassVar[Mapping[str, float]] = {
        "gain": 3.0,
        "offset": 100.0,
        "noise": 100.0,
        "insensitivity": 1.0,
        "unspecificity": 1.0,
    }

    numeric: list[str] = field(default_factory=lambda: ["score_z"])
    binary: list[str] = field(default_factory=lambda: ["marker_1", "marker_2"])
    gain: float | None = None  # 0..3; sd between sites of the log gain
    offset: float | None = None  # 0..100; sd between sites, in standard deviations of the column
    noise: float | None = None  # 0..100; sd of the error of a measurement, in standard deviations of the column
    insensitivity: float | None = None  # 0..1; mean over sites of the share of positives read as negative
    unspecificity: float | None = None  # 0..1; mean over sites of the share of negatives read as positive

    def __post_init__(self) -> None:
        self.check()
        named([*self.numeric, *self.binary], "shift.assay")

    def apply(self, table: pd.DataFrame, where: Where, het: float) -> pd.DataFrame:
        """Columns as the sites' instruments show them."""
        gain, offset, noise = (self.dial(name, het) for name in ("gain", "offset", "noise"))
        changed = {}
        for name in self.numeric if gain or offset or noise else []:
            value = numbers(table, name, "shift.assay.numeric")
            _, sd = moments(value)
            slope = np.exp(gain * where.normals("assay", "gain", name))
            level = offset * sd * where.normals("assay", "offset", name)
            error = noise * sd * ndtri(where.rows("assay", "noise", name))
            changed[name] = slope[where.site] * value + level[where.site] + error
        missed, false = self.dial("insensitivity", het), self.dial("unspecificity", het)
        for name in self.binary if missed or false else []:
            value = flags(table, name, "shift.assay.binary")
            read = where.misread(value == 1, missed, false, "assay", ("insensitivity", "unspecificity"), name)
            changed[name] = restored(np.where(np.isnan(value), np.nan, read), table[name])
        return table.assign(**changed)
