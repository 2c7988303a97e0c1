"""Numbers as a reader sees them: the text of table cells."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from sim.metrics import METRICS
from sim.report.rows import MethodRow, SiteRow, method_rows, site_rows

NONE = "–"
FEW = 6  # sites that fit side by side on a page


def number(value: float) -> str:
    """A metric's value, three decimals."""
    return NONE if math.isnan(value) else f"{value:.3f}".replace("-", "−")


def signed(value: float) -> str:
    """A difference, with its sign."""
    return NONE if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


@dataclass(frozen=True)
class Unit:
    """Unit of an amount of data, chosen so that the numbers read well."""

    name: str
    word: str
    per_mb: float

    def text(self, mb: float) -> str:
        """An amount without its unit: three figures, never in powers of ten."""
        value = mb * self.per_mb
        if math.isnan(value):
            return NONE
        digits = 0 if value == 0 or value >= 100 else min(2 - math.floor(math.log10(value)), 6)
        return f"{value:,.{digits}f}"


UNITS = (Unit("GB", "gigabytes", 1e-3), Unit("MB", "megabytes", 1.0), Unit("kB", "kilobytes", 1e3))


def data_unit(mb: float) -> Unit:
    """Largest unit in which an amount is 1 or more."""
    return next((one for one in UNITS if mb * one.per_mb >= 1), UNITS[-1])


def unit(rows: Sequence[MethodRow]) -> Unit:
    """Unit for a whole table: that of the thriftiest method."""
    spent = [row.mb_total for row in rows if row.mb_total > 0]
    return data_unit(min(spent)) if spent else UNITS[1]


def data_size(mb: float) -> str:
    """An amount of data with its own unit."""
    return f"{data_unit(mb).text(mb)} {data_unit(mb).name}" if mb >= 1e-3 else f"{mb * 1e6:.0f} bytes"


def spread(low: float, high: float, shown: Callable[[float], str] = number) -> str:
    """An interval in brackets; empty where one seed gives none."""
    return "" if math.isnan(low) else f" [{shown(low)}, {shown(high)}]"


def counted(some: int, compared: int, sure: int) -> str:
    """Sites that gain or lose, as "3 of 4 (2 sure)"."""
    return f"{some} of {compared} ({sure} sure)" if compared else NONE


def to_target(row: MethodRow, size: Unit) -> str:
    """Median cost of the target and how many runs reached it; references exchange nothing."""
    if row.reference:
        return NONE
    reached = f"({row.reached}/{row.runs} reached)"
    return f"{size.text(row.mb_to_target)} {reached}"


def summary_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`tables.summary` of one scenario in words; columns that would say nothing are left out."""
    rows = method_rows(frame)
    metric, size = METRICS[rows[0].metric], unit(rows)
    text = {
        "Method": [row.method for row in rows],
        f"{metric.name}, mean over sites [95\u00a0%]": [number(row.mean) + spread(row.low, row.high) for row in rows],
        "Worst site": [f"{number(row.worst)} {row.worst_site}".strip() for row in rows],
    }
    if any(row.sites_defined < row.sites for row in rows):
        text["Sites with a value"] = [f"{row.sites_defined} of {row.sites}" for row in rows]
    if any(row.compared for row in rows):
        text["Sites gaining"] = [counted(row.gaining, row.compared, row.surely_gaining) for row in rows]
        text["Sites losing"] = [counted(row.losing, row.compared, row.surely_losing) for row in rows]
    if not all(math.isnan(row.target) for row in rows):
        text[f"{size.name} to target"] = [to_target(row, size) for row in rows]
    text[f"{size.name} in all"] = [size.text(row.mb_total) for row in rows]
    text["Diverged"] = [f"{row.diverged} of {row.runs}" for row in rows]
    if not all(math.isnan(row.published) for row in rows):
        text["Published"] = [number(row.published) for row in rows]
        text["Distance"] = [NONE if math.isnan(row.published_se) else f"{row.published_se:+.1f} SE" for row in rows]
    return pd.DataFrame(text)


def terminal_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`tables.summary` of one scenario in as few words as fit 80 columns."""
    rows = method_rows(frame)
    size = unit(rows)
    text = {
        "Method": [row.method for row in rows],
        f"{METRICS[rows[0].metric].name} [95\u00a0%]": [number(row.mean) + spread(row.low, row.high) for row in rows],
        "Worst": [number(row.worst) for row in rows],
        "Gain": [fraction(row.gaining, row.compared, row.surely_gaining) for row in rows],
        "Lose": [fraction(row.losing, row.compared, row.surely_losing) for row in rows],
        f"{size.name} to target": [
            NONE if row.reference else f"{size.text(row.mb_to_target)} ({row.reached}/{row.runs})" for row in rows
        ],
    }
    if any(row.diverged for row in rows):
        text["Diverged"] = [f"{row.diverged}/{row.runs}" for row in rows]
    if not all(math.isnan(row.published) for row in rows):
        text["Published"] = [number(row.published) for row in rows]
    return pd.DataFrame(text)


def fraction(some: int, compared: int, sure: int) -> str:
    """Sites that gain or lose, as "3/4 (2)"."""
    return f"{some}/{compared} ({sure})" if compared else NONE


def site_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`tables.per_site` of one scenario in words: methods down and sites across if sites are few, else turned round."""
    rows = site_rows(frame)
    cells = {(row.site, row.method): site_cell(row) for row in rows}
    sites, methods = {row.site: row for row in rows}, list(dict.fromkeys(row.method for row in rows))
    if len(sites) <= FEW:
        text = {"Method": methods}
        for site, row in sites.items():
            head = f"{site}\n{row.rows:,.0f} test rows, {row.events:,.0f} events"
            text[head] = [cells.get((site, method), NONE) for method in methods]
        return pd.DataFrame(text)
    text = {
        "Site": list(sites),
        "Test rows": [f"{row.rows:,.0f}" for row in sites.values()],
        "Events": [f"{row.events:,.0f}" for row in sites.values()],
    }
    return pd.DataFrame(text | {method: [cells.get((site, method), NONE) for site in sites] for method in methods})


def site_cell(row: SiteRow) -> str:
    """Mean of a method at a site and, beneath, its gain over local with the interval."""
    if row.reference == "local" or math.isnan(row.gain):
        return number(row.mean)
    return f"{number(row.mean)}\n{signed(row.gain)}{spread(row.low, row.high, signed)}"
