"""The year of diagnosis and the group of every patient, from the columns of a cohort."""

import numpy as np
import pandas as pd

from sim.analyses.sites import CANCER, CohortBySite
from sim.arrays import Floats
from sim.checks import Refused, did_you_mean
from sim.cohort.encode import numeric

YEARS = ("diagnosis_year", "dx_year", "year", "dx_date")  # columns taken for the year, in this order


def year_column(data: CohortBySite, year: str) -> str:
    """The column of the year; if there is none, a refusal names the existing columns."""
    names = [str(name) for name in data.table.columns]
    for name in (year,) if year else YEARS:
        if name in names:
            return name
    raise Refused(
        f"Cohort {data.cohort.name!r} has no column {year or ' or '.join(YEARS)}, the year of diagnosis; it has "
        f"{', '.join(names)}.{did_you_mean(year or YEARS[0], names)} Name one with --year."
    )


def years(data: CohortBySite, column: str) -> Floats:
    """Whole years [R]; refuses gaps, fractions, and a span of more than 200 years."""
    series = data.table[column]
    dated = pd.api.types.is_datetime64_any_dtype(series)
    values = numeric(series.dt.year if dated else series).astype(np.float64)
    if not np.isfinite(values).all() or (values != np.round(values)).any() or values.max() - values.min() > 200:
        raise Refused(
            f"Column {column!r} of cohort {data.cohort.name!r} must hold a whole year for every patient, such as "
            "2019, or a date. Fill it in, drop the rows, or name another column with --year."
        )
    return values


def groups(data: CohortBySite, column: str) -> tuple[str, tuple[str, ...], Floats]:
    """Column and names of the groups, the rarest first, and the group of every row [R].

    One group, "all", where `column` is empty and the cohort names no cancer. Refuses a column that is not there.
    """
    names = [str(name) for name in data.table.columns]
    if column and column not in names:
        raise Refused(f"--group={column}: no such column; it has {', '.join(names)}.{did_you_mean(column, names)}")
    column = column or next((name for name in CANCER if name in names), "")
    if not column:
        return "", ("all",), np.zeros(len(data.table))
    found, code, rows = np.unique(
        data.table[column].astype(str).to_numpy(dtype=str), return_inverse=True, return_counts=True
    )
    order = np.argsort(rows, kind="stable")
    return column, tuple(map(str, found[order])), np.argsort(order)[code].astype(np.float64)
