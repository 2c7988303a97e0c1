"""The tables of a study as text, for the page and for the terminal."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from sim.metrics import BACKDOOR, METRICS
from sim.report.data_size import Unit, common_unit
from sim.report.rows import MethodRow, SiteRow, method_rows, site_rows
from sim.text import NOT_KNOWN, number, signed

SITES_ACROSS = 6  # sites that fit side by side on a page


def brackets(low: float, high: float, write: Callable[[float], str] = number) -> str:
    """An interval in square brackets; empty where there is none."""
    return "" if math.isnan(low) else f" [{write(low)}, {write(high)}]"


def sites_text(some: int, compared: int, significant: int) -> str:
    """Number of sites that gain or lose, as "3 of 4 (2 significantly)"."""
    return f"{some} of {compared} ({significant} significantly)" if compared else NOT_KNOWN


def to_target(row: MethodRow, size: Unit) -> str:
    """Median data to the target and how many runs reached it; a dash for references, which exchange nothing."""
    if row.reference:
        return NOT_KNOWN
    reached = f"({row.reached}/{row.runs} reached)"
    return f"{size.text(row.mb_to_target)} {reached}"


def summary_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`tables.summary` of one scenario as text for the page; columns without information are left out."""
    rows = method_rows(frame)
    metric, size = METRICS[rows[0].metric], common_unit(rows)
    text = {
        "Method": [row.method for row in rows],
        f"{metric.name}, mean over sites [95\u00a0%]": [number(row.mean) + brackets(row.low, row.high) for row in rows],
    }
    if any(row.seeds < row.asked for row in rows):
        text["Runs"] = [row.rests_on for row in rows]
    if any(row.worst_site for row in rows):
        text["Worst site"] = [f"{number(row.worst)} {row.worst_site}".strip() for row in rows]
    if any(row.sites_defined < row.sites for row in rows):
        text["Sites with a value"] = [f"{row.sites_defined} of {row.sites}" for row in rows]
    if not all(math.isnan(row.gain) for row in rows):
        text["Mean gain over local [95\u00a0%]"] = [
            NOT_KNOWN if math.isnan(row.gain) else signed(row.gain) + brackets(row.gain_low, row.gain_high, signed)
            for row in rows
        ]
    if any(row.compared for row in rows):
        text["Sites gaining"] = [sites_text(row.gaining, row.compared, row.gaining_significantly) for row in rows]
        text["Sites losing"] = [sites_text(row.losing, row.compared, row.losing_significantly) for row in rows]
    if not all(math.isnan(row.target) for row in rows):
        text[f"{size.name} to target"] = [to_target(row, size) for row in rows]
    if any(row.privacy for row in rows):
        text["Epsilon"] = [row.privacy or NOT_KNOWN for row in rows]
    text |= backdoor_text(rows)
    text[f"{size.name} in all"] = [size.text(row.mb_total) for row in rows]
    if any(row.mb_evaluation > 0 for row in rows):
        text[f"{size.name} for evaluation"] = [size.text(row.mb_evaluation) for row in rows]
        text[f"{size.name} for orders"] = [size.text(row.mb_control) for row in rows]
    text["Diverged"] = [f"{row.diverged} of {row.runs}" for row in rows]
    if not all(math.isnan(row.published) for row in rows):
        text["Published"] = [number(row.published) for row in rows]
        text["Distance"] = [
            NOT_KNOWN if math.isnan(row.published_se) else f"{signed(row.published_se, 1)} SE" for row in rows
        ]
    return pd.DataFrame(text)


def terminal_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`tables.summary` of one scenario as text for a terminal of 80 columns."""
    rows = method_rows(frame)
    size = common_unit(rows)
    text = {
        "Method": [row.method for row in rows],
        f"{METRICS[rows[0].metric].name} [95\u00a0%]": [number(row.mean) + brackets(row.low, row.high) for row in rows],
        "Worst": [number(row.worst) for row in rows],
        "Gain": [short_sites_text(row.gaining, row.compared, row.gaining_significantly) for row in rows],
        "Lose": [short_sites_text(row.losing, row.compared, row.losing_significantly) for row in rows],
        f"{size.name} to target": [
            NOT_KNOWN if row.reference else f"{size.text(row.mb_to_target)} ({row.reached}/{row.runs})" for row in rows
        ],
    }
    if any(row.runs < row.asked for row in rows):
        text["Runs"] = [f"{row.seeds}/{row.asked}" for row in rows]
    if any(row.privacy for row in rows):
        text["Epsilon"] = [row.privacy or NOT_KNOWN for row in rows]
    text |= backdoor_text(rows)
    if any(row.diverged for row in rows):
        text["Diverged"] = [f"{row.diverged}/{row.runs}" for row in rows]
    if not all(math.isnan(row.published) for row in rows):
        text["Published"] = [number(row.published) for row in rows]
    return pd.DataFrame(text)


def backdoor_text(rows: Sequence[MethodRow]) -> dict[str, list[str]]:
    """The column of how often a backdoor succeeds, where a method bears one and the table is not of that anyway."""
    if rows[0].metric == BACKDOOR or all(math.isnan(row.backdoor) for row in rows):
        return {}
    return {METRICS[BACKDOOR].name.capitalize(): [number(row.backdoor) for row in rows]}


def short_sites_text(some: int, compared: int, significant: int) -> str:
    """Number of sites that gain or lose, as "3/4 (2)"."""
    return f"{some}/{compared} ({significant})" if compared else NOT_KNOWN


def site_text(frame: pd.DataFrame, methods: Sequence[MethodRow]) -> pd.DataFrame:
    """`tables.per_site` of one scenario as text: methods down and sites across if sites are few, else the other way.

    Sites too small to be judged one by one are one row, or column. `methods` say on how many runs each rests.
    """
    called = {row.method: row.method + row.fewer for row in methods}
    rows = [row for row in site_rows(frame) if row.judged]
    cells = {(row.site, row.method): site_cell(row) for row in rows}
    sites, names = {row.site: row for row in rows}, list(dict.fromkeys(row.method for row in rows))
    if len(sites) <= SITES_ACROSS:
        text = {"Method": [called[name] for name in names]}
        for site, row in sites.items():
            head = f"{site}\n{number(row.rows, 0)} test rows, {number(row.events, 0)} events"
            text[head] = [cells.get((site, method), NOT_KNOWN) for method in names]
        return pd.DataFrame(text)
    text = {
        "Site": list(sites),
        "Test rows": [number(row.rows, 0) for row in sites.values()],
        "Events": [number(row.events, 0) for row in sites.values()],
    }
    return pd.DataFrame(text | {called[name]: [cells.get((site, name), NOT_KNOWN) for site in sites] for name in names})


def site_cell(row: SiteRow) -> str:
    """Mean of a method at a site and, beneath it, its gain over the local model with its interval."""
    if row.reference == "local" or math.isnan(row.gain):
        return number(row.mean)
    return f"{number(row.mean)}\n{signed(row.gain)}{brackets(row.low, row.high, signed)}"
