"""Columns with an order as numbers: dates in days since 1970-01-01, levels of a categorical as 0, 1, 2, ..."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, one_of
from sim.cohort.table import Cohort
from sim.lazy import pd


def column_of(cohort: Cohort, name: str, setting: str) -> pd.Series:
    """A column of the cohort's table; a refusal lists the columns it has and names `setting`."""
    one_of(setting, name, map(str, cohort.table.columns), f"These are the columns of cohort {cohort.name!r}.")
    series: pd.Series = cohort.table[name]
    return series


def ordered(cohort: Cohort, name: str, setting: str) -> NDArray[np.float64]:
    """A column of the cohort as numbers, NaN where not recorded; float [R]."""
    return as_numbers(column_of(cohort, name, setting), f"{setting}={name!r}")


def as_numbers(series: pd.Series, what: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where not recorded; float [R]. Refuses text, and names `what` in the message."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy()
        return np.asarray(np.where(codes < 0, np.nan, codes), dtype=np.float64)
    if pd.api.types.is_datetime64_any_dtype(series):
        series = (series - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    if pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    raise Refused(f"{what}: holds {series.dtype}; allowed numbers, dates or ordered categories.")
