"""A study with dials as text: one sentence and a few table rows per dial."""

from collections.abc import Sequence

import pandas as pd

from sim.metrics import METRICS
from sim.report.rows import MethodRow, method_rows
from sim.report.table_text import brackets, sites_text
from sim.study.dial import Dial
from sim.text import NOT_KNOWN, number, setting_value


def sentences(dials: Sequence[Dial], table: pd.DataFrame, sites: pd.DataFrame) -> list[str]:
    """Which dial makes most sites lose, then one sentence per dial; `table` = `summary`, `sites` = `per_site`.

    Both are about the federated method that is best at the mildest value of a dial. Dials without a finished run of it
    are left out.
    """
    rows = method_rows(table)
    paths = [(dial, found) for dial in dials if (found := best_method_along(dial, rows))]
    return [*leading(paths, sites), *(sentence(dial, found) for dial, found in paths)]


def best_method_along(dial: Dial, rows: Sequence[MethodRow]) -> list[MethodRow]:
    """The rows along a dial of the federated method that is best at its mildest value."""
    names = [row.method for row in rows if row.scenario == dial.labels[0] and not row.reference and row.seeds]
    return (
        [row for label in dial.labels for row in rows if (row.scenario, row.method) == (label, names[0]) and row.seeds]
        if names
        else []
    )


def leading(paths: Sequence[tuple[Dial, list[MethodRow]]], sites: pd.DataFrame) -> list[str]:
    """A sentence on the dial at whose last value most sites lose, value by value; none without local models."""
    compared = [(dial, rows) for dial, rows in paths if rows[-1].compared]
    if not compared:
        return []
    most, along = max(compared, key=lambda pair: (pair[1][-1].losing, -pair[1][-1].gain))
    steps = [
        f"at {value_at(most, row)}, {row.losing} of {row.compared} sites lose, "
        f"with {losing_share(row, sites):.0%} of the patients"
        for row in along
    ]
    others = [row.losing for dial, rows in compared if dial is not most for row in rows]
    first = (
        f"Of {len(compared)} differences, this one makes the most sites lose by joining: {most.title}."
        if others
        else ""
    )
    rest = f" Under any other, at most {max(others)} of {along[-1].compared} lose." if others else ""
    return [f"{first} With {along[0].method}, by {most.setting}: {'; '.join(steps)}.{rest}".strip()]


def losing_share(row: MethodRow, sites: pd.DataFrame) -> float:
    """Share of all test patients at sites that lose; one that is too small to be judged does not count as losing."""
    mine = sites[(sites["scenario"] == row.scenario) & (sites["method"] == row.method) & (sites["kind"] != "together")]
    return float(mine.loc[(mine["kind"] == "site") & (mine["gain"] < 0), "rows"].sum() / mine["rows"].sum())


def sentence(dial: Dial, rows: Sequence[MethodRow]) -> str:
    """A sentence on one dial, from its mildest value to its last."""
    first, last = rows[0], rows[-1]
    said = (
        f"{dial.title}: as {dial.setting} goes from {value_at(dial, first)} to {value_at(dial, last)}, mean "
        f"{METRICS[first.metric].name} of {first.method} goes from {number(first.mean)} to {number(last.mean)}"
    )
    if not first.compared:
        return f"{said}."
    moved = "stay at" if first.losing == last.losing else f"go from {first.losing} to"
    said += f", and sites that lose by joining {moved} {last.losing} of {last.compared}"
    worse = next((row for row in rows if row.gain < 0), None)
    return (
        f"{said}." if worse is None else f"{said}; from {value_at(dial, worse)} on, sites do better alone on average."
    )


def value_at(dial: Dial, row: MethodRow) -> str:
    """The value of a dial in the scenario of a row."""
    return setting_value(dial.steps[dial.labels.index(row.scenario)])


def text(dials: Sequence[Dial], table: pd.DataFrame) -> pd.DataFrame:
    """One row per dial and value: mean and worst site of every method, and sites that lose under the federated ones."""
    rows = {(row.scenario, row.method): row for row in method_rows(table)}
    methods = list(dict.fromkeys(method for _, method in rows))
    federated = [name for name in methods if any(row.method == name and not row.reference for row in rows.values())]
    lines = []
    for dial in dials:
        for label in dial.labels:
            here = {name: rows.get((label, name)) for name in methods}
            line = {"Setting": label}
            for name, row in here.items():
                line[f"{name}, mean [95\u00a0%]"] = (
                    NOT_KNOWN if row is None else number(row.mean) + brackets(row.low, row.high) + row.fewer
                )
                line[f"{name}, worst site"] = NOT_KNOWN if row is None else number(row.worst)
                if name in federated:
                    losing = (
                        NOT_KNOWN if row is None else sites_text(row.losing, row.compared, row.losing_significantly)
                    )
                    line[f"{name}, sites losing"] = losing
            lines.append(line)
    return pd.DataFrame(lines)
