"""Integer codes of repeated names: millions of rows with few names, without a Python string per row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.lazy import pd

MAX_TABLE = 2**22  # numbers below this are ranked through a table with one entry per number


def factorize(names: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Distinct names in order, str [S], and the index of every row's name, int [R].

    The same as `np.unique(names, return_inverse=True)`, in linear time. Of a run of equal rows, common in tables that
    are sorted by site, only the first is read. Characters are the digits of a number whose order is that of the names;
    characters that all names share are skipped, and a number that outgrows MAX_TABLE is replaced by its rank.
    """
    if not len(names):
        return names, np.empty(0, dtype=np.int64)
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    few_runs = 2 * len(first) > len(names)  # few runs: reading every row is less work than selecting the first of each
    run = np.ascontiguousarray(names if few_runs else names[first])
    place, size = np.zeros(len(run), dtype=np.int64), 1
    for column in run.view(np.uint32).reshape(len(run), -1).T:  # numpy pads short names with 0
        letter = column.astype(np.int64)
        low, span = int(letter.min()), int(np.ptp(letter)) + 1
        if span > 1:
            place, size = place * span + (letter - low), size * span
        if size > MAX_TABLE:
            place, size = ranks(place, size)
    place, size = ranks(place, size)
    row = np.empty(size, dtype=np.int64)
    row[place] = np.arange(len(run))
    return run[row], place if few_runs else np.repeat(place, np.diff(np.r_[first, len(names)]))


def ranks(number: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], int]:
    """Dense ranks from 0 of numbers [R] below `size`, and how many ranks there are."""
    if size > MAX_TABLE:
        rank, different = pd.factorize(number, sort=True)
        return rank.astype(np.int64), len(different)
    occurs = np.zeros(size, dtype=bool)
    occurs[number] = True
    rank = np.cumsum(occurs) - 1
    return rank[number], int(rank[-1]) + 1


def one_place_per_patient(patient: pd.Series, place: NDArray[np.int64]) -> bool:
    """Whether all rows of each patient [R] have one and the same place [R]."""
    number = patient.to_numpy()
    if number.dtype.kind in "iu" and len(number) and int(number.max()) - int(number.min()) < 4 * len(number):
        code, size = number - number.min(), int(number.max()) - int(number.min()) + 1  # dense numbers need no hashing
    else:
        code, different = pd.factorize(patient)
        size = len(different)
    home = np.zeros(size, dtype=np.int64)
    home[code] = place
    return bool((home[code] == place).all())


def at_several_places(patient: pd.Series, place: pd.Series) -> pd.DataFrame:
    """Patients at more than one place: columns `patient` and `place`, one row per pair; no rows if there are none."""
    if patient.is_unique:
        return pd.DataFrame({"patient": patient.iloc[:0], "place": place.iloc[:0]})
    pairs = pd.DataFrame({"patient": patient.to_numpy(), "place": place.to_numpy()}).drop_duplicates()
    return pairs[pairs["patient"].duplicated(keep=False)]
