"""Names as numbers: millions of rows that share a few names, without a Python string a row."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def coded(names: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """The different names in order [S], and which of them every row has [R]; what np.unique says, but by hashing runs.

    Tables come site after site, so that most rows repeat the one before: only the first of a run is looked up.
    """
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.empty(0, dtype=np.int64)
    run, found = pd.factorize(names[first].astype(object))
    different, place = np.unique(np.asarray(found, dtype=names.dtype), return_inverse=True)
    length = np.diff(np.r_[first, len(names)])
    return different, np.repeat(place[run].astype(np.int64), length)


def moved(patient: pd.Series, place: pd.Series) -> pd.DataFrame:
    """Patients that stand at several places: columns `patient` and `place`, a row for each; [0] if there is none."""
    if patient.is_unique:
        return pd.DataFrame({"patient": patient.iloc[:0], "place": place.iloc[:0]})
    pairs = pd.DataFrame({"patient": patient.to_numpy(), "place": place.to_numpy()}).drop_duplicates()
    return pairs[pairs["patient"].duplicated(keep=False)]
