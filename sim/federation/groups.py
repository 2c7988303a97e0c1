"""Patient groups: the group of every row, kept with the features so that results can be reported by group.

Age bands as in cancer registries' fairness tables: below 50, 50 to 64, 65 to 74, 75 and older.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused, one_of
from sim.lazy import pd

BANDS = (50.0, 65.0, 75.0)  # years at which the next band begins
BAND_NAMES = ("under 50", "50-64", "65-74", "75 and over")
USUAL: Mapping[str, tuple[str, ...]] = {  # group -> columns it is made from, the first that a table has
    "sex": ("sex", "male"),
    "race": ("race",),
    "age_band": ("age_band", "age_years", "age_at_dx"),
    "insurance": ("insurance",),
}
MOST = 100  # levels of a group
TAKEN = {"patient", "site", "split", "label", "time_days", "event", "probability", "risk"}  # columns beside groups


class Group(NamedTuple):
    """One attribute of the patients."""

    codes: NDArray[np.int8]  # [R] number of the level; -1 = not recorded
    levels: tuple[str, ...]


def groups(table: pd.DataFrame, named: Sequence[str], order: NDArray[np.int64]) -> dict[str, Group]:
    """Groups by name, rows in the order [R]; without names the usual ones that the table has and that are few.

    A usual name may mean something else, such as `insurance` for a premium; only an explicitly named column is refused.
    """
    usual = {name: column for name, columns in USUAL.items() if (column := first(table, columns))}
    found: dict[str, Group] = {}
    for at, name in enumerate(named or usual):
        if name not in usual:
            one_of(f"evaluation.groups[{at}]", name, {*map(str, table.columns), *usual} - TAKEN)
        series = table[usual.get(name, name)]
        codes, levels = read(name, series)
        if len(levels) <= MOST:
            found[name] = Group(codes.astype(np.int8)[order], levels)
        elif named:
            raise Refused(
                f"evaluation.groups[{at}]={name}: column {series.name!r} has {len(levels)} different values; allowed "
                f"up to {MOST}. Name a column with fewer groups; for age use age_band."
            )
    return found


def first(table: pd.DataFrame, columns: Sequence[str]) -> str:
    """The first of the columns that the table has, or an empty word."""
    return next((column for column in columns if column in table), "")


def read(name: str, series: pd.Series) -> tuple[NDArray[np.integer], tuple[str, ...]]:
    """Number of the level of each row [R], -1 = not recorded, and the levels of a recorded column."""
    if name == "age_band" and pd.api.types.is_numeric_dtype(series):
        return banded(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, levels = series.cat.codes.to_numpy(), series.cat.categories
    else:
        codes, levels = pd.factorize(series, sort=True)  # -1 where not recorded
    if series.name == "male" and set(levels) <= {0, 1}:
        return codes, tuple(("female", "male")[int(level)] for level in levels)
    if pd.api.types.is_bool_dtype(series):
        return codes, tuple(("no", "yes")[int(level)] for level in levels)
    if pd.api.types.is_numeric_dtype(series):
        return codes, tuple(f"{level:.15g}" for level in levels)
    return codes, tuple(map(str, levels))


def banded(age_years: Floats) -> tuple[NDArray[np.integer], tuple[str, ...]]:
    """Age bands of ages [R]; NaN has none."""
    codes = np.searchsorted(BANDS, age_years, side="right")
    codes[np.isnan(age_years)] = -1
    return codes, BAND_NAMES
