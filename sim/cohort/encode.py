"""Encoding: from recorded columns to numbers and flags, before any scaling."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused

HUGE = 1e18  # its square still fits single precision


def encode(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Features from predictors, each a name and numbers or flags [R]; a number is NaN where it is not recorded.

    Categoricals become one flag a level but for the first. A column with gaps gets a flag for them, unless an earlier
    column has the very same gaps: two equal columns tell no more than one, and a regression could not part them.
    """
    told: set[bytes] = set()  # gaps that have a flag, a bit a row
    for column in columns:
        series = table[column]
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes = series.cat.codes.to_numpy()
            yield from ((f"{column}={word}", codes == at) for at, word in enumerate(series.cat.categories) if at)
            missing = codes < 0
        else:
            number = plain(series)
            yield column, number
            missing = np.isnan(number) if number.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if missing.any():
            gaps = np.packbits(missing).tobytes()
            if gaps not in told:
                yield f"{column} missing", missing
            told.add(gaps)


def plain(series: pd.Series) -> NDArray[np.generic]:
    """Flags, whole numbers or floats of a column [R]; NaN where there is none, or something else."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy()
    if not pd.api.types.is_numeric_dtype(series):
        series = pd.to_numeric(series.astype(object).where(series.notna(), None), errors="coerce")
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def refuse_huge(name: str, column: Floats) -> None:
    """Refuse a column that single precision cannot hold once it is squared; [R]."""
    most = float(np.fmax.reduce(np.abs(column), initial=0.0))
    if most > HUGE:
        raise Refused(
            f"Column {name!r} holds {most:g}: allowed up to {HUGE:g}. Correct it, change its unit, or drop it."
        )
