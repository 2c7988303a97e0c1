"""Marginals of a calibrated cohort compared with the published numbers to which it was calibrated."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused
from sim.cohort.calibrated.published import STAGES, Law, cancers, law, stage_shares
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.cohort.table import Cohort

COLUMNS = ("cancer", "quantity", "published", "simulated", "patients", "source")

Comparison = tuple[str, str, float, float, int, str]


def marginals(cohort: Cohort) -> pd.DataFrame:
    """Published and simulated numbers, one comparison per row, with the columns of COLUMNS.

    `patients` is the number behind the simulated value; `source` is a mark (R read, D derived, M memory or design) and
    a key of sources.yaml. 5-year survival is of death from the cancer alone, by true stage, as relative survival is.
    """
    if cohort.name != "calibrated" or cohort.truth is None:
        raise Refused(f"cohort={cohort.name}: only cohort=calibrated has published numbers to compare with.")
    code = cohort.table["cancer"].cat.codes.to_numpy()
    table = law(tuple(cohort.table["cancer"].cat.categories))
    rows: list[Comparison] = []
    for number, name in enumerate(table.names):
        mine = code == number
        rows.append(row(name, "share", table.share[number], mine, "cases"))
        rows.extend(quantities(table, number, cohort.table[mine], cohort.truth[mine]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def quantities(published: Law, number: int, table: pd.DataFrame, truth: pd.DataFrame) -> Iterator[Comparison]:
    """Comparisons of one cancer; `table` and `truth` hold its patients only."""
    name = published.names[number]
    yield row(name, "age_years mean", published.age_years[number], table["age_years"].to_numpy(), "age_years")
    yield row(name, "male share", published.male[number], table["male"].to_numpy(), "male")
    figures, distant = cancers()[name], truth["stage"].to_numpy() == STAGES[-1]
    for marker in ("marker_1", "marker_2"):
        yield row(name, f"{marker} share", figures[marker].value[0], truth[marker].to_numpy(), marker)
    if "marker_1_distant" in figures:
        there = figures["marker_1_distant"].number
        yield row(name, "marker_1 share, distant", there, truth["marker_1"].to_numpy()[distant], "marker_1_distant")
    alive = truth["time_cancer_days"].to_numpy() > 5 * DAYS_PER_YEAR
    stage = truth["stage"].cat.codes.to_numpy()
    if not published.staged[number]:
        yield row(name, "5-year survival", published.survival_5y[number, 0], alive, "survival_5y")
        return
    for code, word in enumerate(STAGES):
        yield row(name, f"{word} share", stage_shares(name)[code], stage == code, "stage", code)
    for code, word in enumerate(STAGES):
        target = published.survival_5y[number, code]
        yield row(name, f"5-year survival {word}", target, alive[stage == code], "survival_5y", code)


def row(
    cancer: str, quantity: str, published: float, values: NDArray[np.generic], field: str, at: int = 0
) -> Comparison:
    """The mean of `values` with the published number; `at` is the position of its mark within the field."""
    figure = cancers()[cancer][field]
    mark = figure.mark[min(at, len(figure.mark) - 1)]
    simulated = float(values.mean()) if len(values) else np.nan
    return cancer, quantity, float(published), simulated, len(values), f"{mark} {figure.source}"
