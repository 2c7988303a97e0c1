"""Names as numbers: what numpy says of the names, but without sorting them."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from sim.names import coded, moved


@given(st.lists(st.sampled_from(["centre-2", "centre-10", "a", "Zürich", "centre-1"]), max_size=60))
def test_coded_is_what_unique_says(names: list[str]) -> None:
    given_names = np.array(names, dtype="<U9")
    different, code = coded(given_names)
    expected, back = np.unique(given_names, return_inverse=True)
    assert different.tolist() == expected.tolist()
    assert code.tolist() == back.tolist()
    assert different.dtype.kind == "U"


def test_those_who_moved_are_named_with_their_places() -> None:
    patient, place = pd.Series(["p", "q", "q", "r", "r"]), pd.Series(["a", "a", "b", "c", "c"])
    several = moved(patient, place)
    assert several["patient"].tolist() == ["q", "q"]
    assert several["place"].tolist() == ["a", "b"]
    assert moved(patient.iloc[[0, 1, 3]], place.iloc[[0, 1, 3]]).empty
