"""Features: from recorded columns to numbers that every site scales alike, by sums a federation could compute."""

from enum import Enum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused

HUGE = 1e18  # its square still fits single precision


class Scaling(Enum):
    """Whose statistics standardise a column."""

    federated = "federated"  # one mean and sd for all, from sums over the sites' training rows
    site = "site"  # each site its own training rows (FLamby, du Terrail et al., NeurIPS 2022)
    none = "none"


def encode(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Numbers from predictors: categoricals one-hot but for the first level, an indicator per gappy column; [R, D]."""
    names: list[str] = []
    values: list[NDArray[np.float64]] = []
    for column in columns:
        series = table[column]
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes = series.cat.codes.to_numpy()
            for level, word in enumerate(series.cat.categories[1:], start=1):
                names.append(f"{column}={word}")
                values.append((codes == level).astype(np.float64))
            missing = codes < 0
        else:
            number = series.to_numpy(dtype=np.float64, na_value=np.nan)
            names.append(column)
            values.append(number)
            missing = np.isnan(number)
        if missing.any():
            names.append(f"{column} missing")
            values.append(missing.astype(np.float64))
    return tuple(names), np.stack(values, axis=1)


def refuse_huge(names: tuple[str, ...], x: NDArray[np.float64]) -> None:
    """Refuse a column that single precision cannot hold once it is squared; [R, D]."""
    most = np.nanmax(np.abs(x), axis=0, initial=0.0)
    if (most > HUGE).any():
        at = int(np.argmax(most > HUGE))
        raise Refused(
            f"Column {names[at]!r} holds {most[at]:g}: allowed up to {HUGE:g}. Correct it, change its unit, or drop it."
        )


def standardise(
    x: NDArray[np.float64], site: NDArray[np.int64], train: NDArray[np.bool_], sites: int, scaling: Scaling
) -> NDArray[np.float64]:
    """Zero mean, unit variance over training rows, from per-site sums; gaps become 0, the mean; [R, D].

    Two exchanges of sums, as a federation would do it: counts and totals first, then squares about the mean.
    """
    if scaling is Scaling.none:
        return np.nan_to_num(x, nan=0.0)
    count, total = site_sums(x, site, train, sites)
    if scaling is Scaling.federated:
        count, total = (np.broadcast_to(part.sum(0), part.shape) for part in (count, total))
    mean = total / np.maximum(count, 1)
    _, squares = site_sums((x - mean[site]) ** 2, site, train, sites)
    if scaling is Scaling.federated:
        squares = np.broadcast_to(squares.sum(0), squares.shape)
    spread = np.sqrt(squares / np.maximum(count, 1))
    spread = np.where(spread > 0, spread, 1.0)  # a constant column becomes all zeros
    return np.nan_to_num((x - mean[site]) / spread[site], nan=0.0)


def site_sums(
    x: NDArray[np.float64], site: NDArray[np.int64], train: NDArray[np.bool_], sites: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count and sum of the recorded training values of each column at each site (rows in site order); [S, D] twice."""
    use = train[:, None] & ~np.isnan(x)
    start = np.searchsorted(site, np.arange(sites))
    return np.add.reduceat(use.astype(np.float64), start), np.add.reduceat(np.where(use, x, 0.0), start)
