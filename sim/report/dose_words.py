"""Dose-response in words and numbers: a sentence and a few table rows for every dial."""

from collections.abc import Sequence

import pandas as pd

from sim.dial import Dial, shown
from sim.metrics import METRICS
from sim.report.cells import NONE, counted, number, spread
from sim.report.rows import MethodRow, method_rows


def sentences(dials: Sequence[Dial], table: pd.DataFrame) -> list[str]:
    """What turning each dial does to the best federated method of its mildest value; `table` = `summary`."""
    rows = method_rows(table)
    return [said for dial in dials if (said := sentence(dial, rows))]


def sentence(dial: Dial, rows: Sequence[MethodRow]) -> str:
    """One dial; empty where no federated run finished at its ends."""
    label = dial.labels[0]
    methods = [row for row in rows if row.scenario == label and not row.reference and row.seeds]
    if not methods:
        return ""
    name = methods[0].method
    path = [row for value in dial.labels for row in rows if row.scenario == value and row.method == name and row.seeds]
    first, last = path[0], path[-1]
    told = (
        f"{dial.title}: as {dial.setting} goes from {value(dial, first)} to {value(dial, last)}, mean "
        f"{METRICS[first.metric].name} of {name} goes from {number(first.mean)} to {number(last.mean)}"
    )
    if first.compared:
        told += f", and {first.losing} to {last.losing} of {last.compared} sites lose by joining"
        worse = next((row for row in path if row.gain < 0), None)
        if worse is not None:
            told += f"; from {value(dial, worse)} on, sites are on average better off alone"
    return f"{told}."


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
            for name, row in here.items():
                line[f"{name}, worst site"] = NONE if row is None else number(row.worst)
            for name in federated:
                row = here[name]
                line[f"{name}, sites losing"] = (
                    NONE if row is None else counted(row.losing, row.compared, row.surely_losing)
                )
            lines.append(line)
    return pd.DataFrame(lines)
