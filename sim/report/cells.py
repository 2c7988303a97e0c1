"""Numbers as a reader sees them: the text of table cells."""

import math
from collections.abc import Callable

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


def megabytes(value: float) -> str:
    """Megabytes to three figures, never in powers of ten."""
    if math.isnan(value):
        return NONE
    digits = 0 if value == 0 or value >= 100 else min(2 - math.floor(math.log10(value)), 6)
    return f"{value:,.{digits}f}"


def data_size(mb: float) -> str:
    """Megabytes, or kilobytes where these read better, with the unit."""
    return f"{megabytes(mb * 1000)} kB" if mb < 0.1 else f"{megabytes(mb)} MB"


def spread(low: float, high: float, shown: Callable[[float], str] = number) -> str:
    """An interval in brackets; empty where one seed gives none."""
    return "" if math.isnan(low) else f" [{shown(low)}, {shown(high)}]"


def counted(some: int, compared: int, sure: int) -> str:
    """Sites that gain or lose, as "3 of 4 (2 sure)"."""
    return f"{some} of {compared} ({sure} sure)" if compared else NONE


def to_target(row: MethodRow) -> str:
    """Median cost of the target and how many runs reached it; references exchange nothing."""
    if row.reference:
        return NONE
    reached = f"({row.reached}/{row.runs} reached)"
    return f"{megabytes(row.mb_to_target)} {reached}"


def summary_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`tables.summary` of one scenario in words; columns that would say nothing are left out."""
    rows = method_rows(frame)
    metric = METRICS[rows[0].metric]
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
        text["MB to target"] = [to_target(row) for row in rows]
    text["MB in all"] = [megabytes(row.mb_total) for row in rows]
    text["Diverged"] = [f"{row.diverged} of {row.runs}" for row in rows]
    if not all(math.isnan(row.published) for row in rows):
        text["Published"] = [number(row.published) for row in rows]
        text["Distance"] = [NONE if math.isnan(row.published_se) else f"{row.published_se:+.1f} SE" for row in rows]
    return pd.DataFrame(text)


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
