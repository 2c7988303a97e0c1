"""Assay shift: sites measure the same quantity with different instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy

from sim.lazy import pd
from sim.shift.base import ShiftDials, SiteDraws, flags, in_type_of, moments, numbers, refuse_repeats


@dataclass
class Assay(ShiftDials):
    """A number becomes gain x number + offset + noise; a flag is read with the site's sensitivity and specificity.

    Sources of the values at het = 1: datasets/calibrated/centres.yaml. Over sites, 1 - sensitivity is Beta(2, 40) and
    1 - specificity Beta(2, 60).
    """

    kind: ClassVar[str] = "assay"
    at_het_one: ClassVar[Mapping[str, float]] = {
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
        refuse_repeats([*self.numeric, *self.binary], "shift.assay")

    def apply(self, table: pd.DataFrame, draws: SiteDraws, het: float) -> pd.DataFrame:
        """The table with its measured columns as the sites' instruments read them."""
        gain, offset, noise = (self.value(name, het) for name in ("gain", "offset", "noise"))
        changed = {}
        for name in self.numeric if gain or offset or noise else []:
            value = numbers(table, name, "shift.assay.numeric")
            _, sd = moments(value)
            slope = np.exp(gain * draws.site_normals("assay", "gain", name))
            level = offset * sd * draws.site_normals("assay", "offset", name)
            error = noise * sd * scipy.special.ndtri(draws.row_uniforms("assay", "noise", name))
            changed[name] = slope[draws.site] * value + level[draws.site] + error
        missed, false = self.value("insensitivity", het), self.value("unspecificity", het)
        for name in self.binary if missed or false else []:
            value = flags(table, name, "shift.assay.binary")
            read = draws.misread(value == 1, missed, false, "assay", ("insensitivity", "unspecificity"), name)
            changed[name] = in_type_of(np.where(np.isnan(value), np.nan, read), table[name])
        return table.assign(**changed)
