"""Numbers as text: the sign, the decimals, and what is not known."""

import numpy as np
import pytest

from sim.text import count, first_few, listed, number, percent, setting_value, signed


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (number(0.7126), "0.713"),
        (number(-0.5, 1), "−0.5"),
        (number(-0.0004), "0.000"),
        (number(np.float64(1234.5), 1), "1,234.5"),
        (number(float("nan")), "–"),
        (signed(0.0213), "+0.021"),
        (signed(-0.0213), "−0.021"),
        (signed(-0.0004), "0.000"),
        (signed(2.0, 1), "+2.0"),
        (signed(float("nan")), "–"),
        (percent(0.2734), "27.3 %"),
        (percent(-0.0001), "0.0 %"),
        (percent(float("nan")), "–"),
        (count(1204.0), "1,204"),
        (count(36.52), "36.5"),
        (setting_value(0.30), "0.3"),
        (setting_value(1.0), "1"),
        (setting_value("breast"), "breast"),
        (listed(["A"]), "A"),
        (listed(["A", "B", "C"]), "A, B and C"),
    ],
)
def test_text(text: str, wanted: str) -> None:
    assert text == wanted


def test_numbers_are_rounded_as_python_formats_them() -> None:
    """numpy's own rounding multiplies first, and so misses some halves."""
    for value in np.random.default_rng(0).normal(size=1000):
        assert number(value, 2).replace("−", "-").lstrip("-") == f"{abs(value):.2f}"


def test_a_sentence_names_a_few_of_many() -> None:
    assert first_few([str(at) for at in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8 and 9"
    assert first_few([str(at) for at in range(62)]) == "0, 1, 2, 3, 4 and 57 more"
