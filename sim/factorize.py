"""Names as numbers: millions of rows that share a few names, without a Python string a row."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MAX_TABLE = 2**22  # numbers up to here are ranked by a table with a place for each


def factorize(names: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """The different names in order [S], and which of them every row has [R]; what np.unique says, in linear time.

    Of rows that repeat the one before, as tables do that come site after site, only the first is read. Names are read
    letter by letter as digits of a number, in which the order of the names is the order of the numbers; letters that
    all have in common are left out, and a number that outgrows ROOM is replaced by its rank.
    """
    if not len(names):
        return names, np.empty(0, dtype=np.int64)
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    alone = 2 * len(first) > len(names)  # hardly any row repeats another: reading all is less work than choosing
    run = np.ascontiguousarray(names if alone else names[first])
    place, size = np.zeros(len(run), dtype=np.int64), 1
    for column in run.view(np.uint32).reshape(len(run), -1).T:  # a short name ends in 0
        letter = column.astype(np.int64)
        low, span = int(letter.min()), int(np.ptp(letter)) + 1
        if span > 1:
            place, size = place * span + (letter - low), size * span
        if size > MAX_TABLE:
            place, size = ranks(place, size)
    place, size = ranks(place, size)
    row = np.empty(size, dtype=np.int64)
    row[place] = np.arange(len(run))
    return run[row], place if alone else np.repeat(place, np.diff(np.r_[first, len(names)]))


def ranks(number: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], int]:
    """Ranks from 0 of numbers [R] below `size`, equal ones sharing theirs, and how many ranks there are."""
    if size > MAX_TABLE:
        rank, different = pd.factorize(number, sort=True)
        return rank.astype(np.int64), len(different)
    there = np.zeros(size, dtype=bool)
    there[number] = True
    rank = np.cumsum(there) - 1
    return rank[number], int(rank[-1]) + 1


def one_place_per_patient(patient: pd.Series, place: NDArray[np.int64]) -> bool:
    """Whether all rows of every patient have the same place, [R]."""
    number = patient.to_numpy()
    if number.dtype.kind in "iu" and len(number) and int(number.max()) - int(number.min()) < 4 * len(number):
        code, size = number - number.min(), int(number.max()) - int(number.min()) + 1  # numbers are dense: no hashing
    else:
        code, different = pd.factorize(patient)
        size = len(different)
    home = np.zeros(size, dtype=np.int64)
    home[code] = place
    return bool((home[code] == place).all())


def at_several_places(patient: pd.Series, place: pd.Series) -> pd.DataFrame:
    """Patients that stand at several places: columns `patient` and `place`, a row for each; [0] if there is none."""
    if patient.is_unique:
        return pd.DataFrame({"patient": patient.iloc[:0], "place": place.iloc[:0]})
    pairs = pd.DataFrame({"patient": patient.to_numpy(), "place": place.to_numpy()}).drop_duplicates()
    return pairs[pairs["patient"].duplicated(keep=False)]
