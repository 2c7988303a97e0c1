"""Amounts of data as text, in a unit that makes the numbers easy to read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sim.report.rows import MethodRow
from sim.text import NOT_KNOWN


@dataclass(frozen=True)
class Unit:
    """Unit of an amount of data."""

    name: str
    word: str
    per_mb: float

    def text(self, mb: float) -> str:
        """An amount, given in megabytes, without its unit: three figures, never in powers of ten."""
        value = mb * self.per_mb
        if math.isnan(value):
            return NOT_KNOWN
        digits = 0 if value == 0 or value >= 100 else min(2 - math.floor(math.log10(value)), 6)
        return f"{value:,.{digits}f}"


UNITS = (Unit("GB", "gigabytes", 1e-3), Unit("MB", "megabytes", 1.0), Unit("kB", "kilobytes", 1e3))


def unit_of(mb: float) -> Unit:
    """Largest unit in which an amount in megabytes is 1 or more."""
    return next((one for one in UNITS if mb * one.per_mb >= 1), UNITS[-1])


def common_unit(rows: Sequence[MethodRow]) -> Unit:
    """Unit for a whole table or figure: that of the method that moves least."""
    spent = [row.mb_total for row in rows if row.mb_total > 0]
    return unit_of(min(spent)) if spent else UNITS[1]


def data_size(mb: float) -> str:
    """An amount in megabytes as text with its own unit."""
    return f"{unit_of(mb).text(mb)} {unit_of(mb).name}" if mb >= 1e-3 else f"{mb * 1e6:.0f} bytes"
