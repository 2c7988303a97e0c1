"""Dose-response in words and numbers: a sentence and a few table rows for every dial."""

from collections.abc import Sequence

import pandas as pd

from sim.metrics import METRICS
from sim.report.format import NONE, counted, number, spread
from sim.report.rows import MethodRow, method_rows
from sim.study.dial import Dial, shown


def sentences(dials: Sequence[Dial], table: pd.DataFrame, sites: pd.DataFrame) -> list[str]:
    """Which difference makes most sites lose, then a sentence a dial; `table` = `summary`, `sites` = `per_site`.

    All of the best federated method where a dial stands mildest. A dial where no run of it finished is left out.
    """
    rows = method_rows(table)
    paths = [(dial, found) for dial in dials if (found := path(dial, rows))]
    return [*worst(paths, sites), *(sentence(dial, found) for dial, found in paths)]


def path(dial: Dial, rows: Sequence[MethodRow]) -> list[MethodRow]:
    """The rows of one method along a dial."""
    names = [row.method for row in rows if row.scenario == dial.labels[0] and not row.reference and row.seeds]
    return (
        [row for label in dial.labels for row in rows if (row.scenario, row.method) == (label, names[0]) and row.seeds]
        if names
        else []
    )


def worst(paths: Sequence[tuple[Dial, list[MethodRow]]], sites: pd.DataFrame) -> list[str]:
    """The dial at whose far end most sites lose, step by step."""
    compared = [(dial, rows) for dial, rows in paths if rows[-1].compared]
    if not compared:
        return []
    most, along = max(compared, key=lambda pair: (pair[1][-1].losing, -pair[1][-1].gain))
    steps = [
        f"at {value(most, row)}, {row.losing} of {row.compared} sites lose, with {held(row, sites):.0%} of the patients"
        for row in along
    ]
    others = [row.losing for dial, rows in compared if dial is not most for row in rows]
    first = f"Of {len(compared)} differences, one makes most sites lose by joining: {most.title}." if others else ""
    rest = f" Under any other, at most {max(others)} of {along[-1].compared} lose." if others else ""
    return [f"{first} With {along[0].method}, by {most.setting}: {'; '.join(steps)}.{rest}".strip()]


def held(row: MethodRow, sites: pd.DataFrame) -> float:
    """Share of all test patients who are at sites that lose."""
    mine = sites[(sites["scenario"] == row.scenario) & (sites["method"] == row.method)]
    return float(mine.loc[mine["gain"] < 0, "rows"].sum() / mine["rows"].sum())


def sentence(dial: Dial, rows: Sequence[MethodRow]) -> str:
    """One dial from its mildest to its far end."""
    first, last = rows[0], rows[-1]
    told = (
        f"{dial.title}: as {dial.setting} goes from {value(dial, first)} to {value(dial, last)}, mean "
        f"{METRICS[first.metric].name} of {first.method} goes from {number(first.mean)} to {number(last.mean)}"
    )
    if not first.compared:
        return f"{told}."
    moved = "stay at" if first.losing == last.losing else f"go from {first.losing} to"
    told += f", and sites that lose by joining {moved} {last.losing} of {last.compared}"
    worse = next((row for row in rows if row.gain < 0), None)
    return f"{told}." if worse is None else f"{told}; from {value(dial, worse)} on, sites do better alone on average."


def value(dial: Dial, row: MethodRow) -> str:
    """Where the dial stood."""
    return shown(dial.steps[dial.labels.index(row.scenario)])


def text(dials: Sequence[Dial], table: pd.DataFrame) -> pd.DataFrame:
    """One row a (dial, value): mean and worst site of every method, and who loses under the federated ones."""
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
                    NONE if row is None else number(row.mean) + spread(row.low, row.high)
                )
                line[f"{name}, worst site"] = NONE if row is None else number(row.worst)
                if name in federated:
                    losing = NONE if row is None else counted(row.losing, row.compared, row.surely_losing)
                    line[f"{name}, sites losing"] = losing
            lines.append(line)
    return pd.DataFrame(lines)
