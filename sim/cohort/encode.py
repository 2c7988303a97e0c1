"""Encoding: from recorded columns to numbers and flags, before any scaling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype

from sim.arrays import Floats
from sim.checks import Refused

HUGE = 1e18  # its square still fits single precision


class Kind(Enum):
    """What a predictor is."""

    number = "number"
    flag = "flag"  # true or false
    category = "category"


@dataclass(frozen=True)
class Predictor:
    """How one predictor becomes features.

    levels  words of a category, in order; the first has no feature
    gaps    whether it was not recorded for some row
    flag    whether a feature says where; false also if an earlier predictor had the very same gaps
    """

    name: str
    kind: Kind
    levels: tuple[str, ...]
    gaps: bool
    flag: bool


@dataclass(frozen=True)
class Encoder:
    """Fitted encoding of a table's predictors, in order; the same value encodes tables that come later."""

    predictors: tuple[Predictor, ...]

    @classmethod
    def of(cls, table: pd.DataFrame, columns: Sequence[str]) -> "Encoder":
        """Encoding of these columns, one at a time.

        A column with gaps gets a flag for them, unless an earlier column has the very same gaps: two equal columns
        tell no more than one, and a regression could not part them.
        """
        made: list[Predictor] = []
        told: set[bytes] = set()  # gaps that have a flag, one bit per row
        for column in columns:
            series = table[column]
            levels: tuple[str, ...] = ()
            if isinstance(series.dtype, pd.CategoricalDtype):
                kind, levels = Kind.category, tuple(map(str, series.cat.categories))
            else:
                kind = Kind.flag if is_bool_dtype(series) else Kind.number
            missing = gaps(series)
            bits = np.packbits(missing).tobytes() if missing.any() else b""
            made.append(Predictor(column, kind, levels, bool(bits), bool(bits) and bits not in told))
            told.add(bits)
        return cls(tuple(made))

    def encode(self, table: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Features, each a name and numbers or flags [R]; a number is NaN where it is not recorded.

        Categories become one flag per level but for the first. The table is the fitted one or one that conforms.
        """
        for predictor in self.predictors:
            column, series = predictor.name, table[predictor.name]
            if predictor.kind is Kind.category:
                codes = series.cat.codes.to_numpy()
                yield from ((f"{column}={word}", codes == at) for at, word in enumerate(predictor.levels) if at)
            else:
                yield column, plain(series)
            if predictor.flag:
                yield f"{column} missing", gaps(series)


def encode(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Features of a table by an encoding that is fitted to it; see `Encoder`."""
    return Encoder.of(table, columns).encode(table)


def gaps(series: pd.Series) -> NDArray[np.bool_]:
    """Where a predictor is not recorded, [R]."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return np.asarray(series.cat.codes.to_numpy() < 0)
    number = plain(series)
    return np.isnan(number) if number.dtype.kind == "f" else np.zeros(len(number), dtype=bool)


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
