"""Names as numbers: what numpy says of the names, but without sorting them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.factorize import at_several_places, factorize, one_place_per_patient


@given(st.lists(st.sampled_from(["centre-2", "centre-10", "a", "Zürich", "centre-1"]), max_size=60))
def test_coded_is_what_unique_says(names: list[str]) -> None:
    given_names = np.array(names, dtype="<U9")
    different, code = factorize(given_names)
    expected, back = np.unique(given_names, return_inverse=True)
    assert different.tolist() == expected.tolist()
    assert code.tolist() == back.tolist()
    assert different.dtype.kind == "U"


@given(st.lists(st.text(max_size=12).filter(lambda word: "\0" not in word), min_size=1, max_size=40), st.integers(1, 4))
def test_any_letters_will_do(names: list[str], room: int) -> None:
    """Also where the numbers outgrow the table that ranks them."""
    given_names = np.array(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.factorize.MAX_TABLE", 10**room)
        different, code = factorize(given_names)
    expected, back = np.unique(given_names, return_inverse=True)
    assert different.tolist() == expected.tolist()
    assert code.tolist() == back.tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=12), st.sampled_from([1, 10**12]))
def test_a_patient_at_two_places_is_seen(pairs: list[tuple[int, int]], step: int) -> None:
    """Numbers that are dense, numbers that are not, and words."""
    patient = pd.Series([step * who - 2 for who, _ in pairs], dtype="int64")
    place = np.array([where for _, where in pairs], dtype=np.int64)
    expected = len({who for who, _ in pairs}) == len(set(pairs))
    assert one_place_per_patient(patient, place) is expected
    assert one_place_per_patient(patient.astype(str), place) is expected


def test_those_who_moved_are_named_with_their_places() -> None:
    patient, place = pd.Series(["p", "q", "q", "r", "r"]), pd.Series(["a", "a", "b", "c", "c"])
    several = at_several_places(patient, place)
    assert several["patient"].tolist() == ["q", "q"]
    assert several["place"].tolist() == ["a", "b"]
    assert at_several_places(patient.iloc[[0, 1, 3]], place.iloc[[0, 1, 3]]).empty
