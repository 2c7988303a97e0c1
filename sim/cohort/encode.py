"""Encoding of predictors: recorded columns to numbers and indicators, before any scaling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused
from sim.lazy import pd

HUGE = 1e18  # its square still fits single precision


class Kind(Enum):
    """Kind of a predictor."""

    number = "number"
    flag = "flag"  # true or false
    category = "category"


@dataclass(frozen=True)
class Predictor:
    """How one predictor becomes features.

    levels  words of a category, in order; the first has no feature
    gaps    whether it was not recorded for some row
    flag    whether an indicator says where; false also if an earlier predictor had the very same gaps
    """

    name: str
    kind: Kind
    levels: tuple[str, ...]
    gaps: bool
    flag: bool

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        if self.kind is Kind.category:
            values = tuple(f"{self.name}={word}" for word in self.levels[1:])
        else:
            values = (self.name,)
        return (*values, f"{self.name} missing") if self.flag else values


@dataclass(frozen=True)
class Encoder:
    """Fitted encoding of a table's predictors, in order; the same value encodes tables that come later."""

    predictors: tuple[Predictor, ...]

    @classmethod
    def of(cls, table: pd.DataFrame, columns: Sequence[str]) -> Encoder:
        """Encoding of the predictors `columns`, fitted to one column at a time.

        A column with gaps gets an indicator of them, unless an earlier column has the very same gaps: two equal
        indicators carry no more than one and are collinear.
        """
        predictors: list[Predictor] = []
        flagged: set[bytes] = set()  # gaps that have an indicator, packed to one bit per row
        for column in columns:
            series = table[column]
            levels: tuple[str, ...] = ()
            if isinstance(series.dtype, pd.CategoricalDtype):
                kind, levels = Kind.category, tuple(map(str, series.cat.categories))
            else:
                kind = Kind.flag if pd.api.types.is_bool_dtype(series) else Kind.number
            missing = gaps(series)
            bits = np.packbits(missing).tobytes() if missing.any() else b""
            predictors.append(Predictor(column, kind, levels, bool(bits), bool(bits) and bits not in flagged))
            flagged.add(bits)
        encoder = cls(tuple(predictors))
        encoder.refuse_equal_names()
        return encoder

    def refuse_equal_names(self) -> None:
        """Refuse two features of one name, such as a column `stage=2` beside the level 2 of `stage`."""
        made: dict[str, str] = {}
        for predictor in self.predictors:
            for name in predictor.features:
                if name in made:
                    raise Refused(
                        f"Columns {made[name]!r} and {predictor.name!r} both make a feature {name!r}. Rename one."
                    )
                made[name] = predictor.name

    def encode(self, table: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Features of the fitted table, or of one that conforms to it: name and numbers or indicators [R].

        NaN = not recorded. A categorical becomes one indicator per level but the first.
        """
        for predictor in self.predictors:
            yield from zip(predictor.features, values_of(table[predictor.name], predictor), strict=True)


def values_of(series: pd.Series, predictor: Predictor) -> Iterator[NDArray[np.generic]]:
    """Numbers or indicators [R] of the features of a predictor, one after another."""
    if predictor.kind is Kind.category:
        codes = series.cat.codes.to_numpy()
        yield from (codes == at for at in range(1, len(predictor.levels)))
    else:
        yield numeric(series)
    if predictor.flag:
        yield gaps(series)


def encode(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Features of the predictors `columns`, by an encoding that is fitted to the table itself; see `Encoder`."""
    return Encoder.of(table, columns).encode(table)


def gaps(series: pd.Series) -> NDArray[np.bool_]:
    """Where a predictor is not recorded, bool [R]."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return np.asarray(series.cat.codes.to_numpy() < 0)
    number = numeric(series)
    return np.isnan(number) if number.dtype.kind == "f" else np.zeros(len(number), dtype=bool)


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
