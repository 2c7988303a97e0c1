"""Encoding of predictors: recorded columns to numbers and indicators, before any scaling."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused

HUGE = 1e18  # its square still fits single precision
Floats = NDArray[np.float64]


def encode(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Features of the predictors `columns`: name and numbers or indicators [R]; NaN = not recorded.

    A categorical becomes one indicator per level but the first. A column with gaps gets an indicator of them, unless an
    earlier column has the very same gaps: two equal indicators carry no more than one and are collinear.
    """
    flagged: set[bytes] = set()  # gaps that have an indicator, packed to one bit per row
    for column in columns:
        series = table[column]
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes = series.cat.codes.to_numpy()
            yield from ((f"{column}={word}", codes == at) for at, word in enumerate(series.cat.categories) if at)
            missing = codes < 0
        else:
            number = numeric(series)
            yield column, number
            missing = np.isnan(number) if number.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if missing.any():
            gaps = np.packbits(missing).tobytes()
            if gaps not in flagged:
                yield f"{column} missing", missing
            flagged.add(gaps)


def numeric(series: pd.Series) -> NDArray[np.generic]:
    """A column as booleans, integers or floats [R]; NaN where a cell is missing or not a number."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy()
    if not pd.api.types.is_numeric_dtype(series):
        series = pd.to_numeric(series.astype(object).where(series.notna(), None), errors="coerce")
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def refuse_huge(name: str, column: Floats) -> None:
    """Refuse a column [R] whose square would overflow single precision."""
    most = float(np.fmax.reduce(np.abs(column), initial=0.0))
    if most > HUGE:
        raise Refused(
            f"Column {name!r} holds {most:g}: allowed up to {HUGE:g}. Correct it, change its unit, or drop it."
        )
