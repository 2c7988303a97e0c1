"""Weighted medians: what sorting gives, to the bit, whatever the values and the weights are."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sim.arrays import Reals
from sim.methods.quantile import WIDTH, median, weighted_medians
from sim.random import stream


def sorted_median(values: Reals, copies: NDArray[np.int64]) -> Reals:
    """Every value so many times, in order; the midpoint of the two in the middle, taken in more digits."""
    many = np.sort(np.repeat(values, copies, axis=0), axis=0)
    one, other = many[(len(many) - 1) // 2], many[len(many) // 2]
    with np.errstate(all="ignore"):
        middle = (one.astype(np.longdouble) + other) / 2
    return np.where(one == other, one, middle.astype(values.dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, WIDTH - 1, WIDTH, 2 * WIDTH + 1])
def test_a_weighted_median_is_that_of_so_many_copies(dtype: type, count: int) -> None:
    for uploads in (1, 2, 3, 4, 7, 10, 33):
        draw = stream(uploads, "uploads")
        copies = draw.integers(0, 4, uploads)
        copies[0] = 1
        for values in (
            draw.normal(size=(uploads, count)),
            draw.integers(-2, 3, (uploads, count)),
            np.where(draw.random((uploads, count)) < 0.3, 1e9, draw.normal(size=(uploads, count))),
            draw.normal(size=(uploads, count)) * 10.0 ** draw.integers(-30, 30, (uploads, count)),
        ):
            sent = values.astype(dtype)
            assert np.array_equal(weighted_medians(sent, copies / copies.sum()), sorted_median(sent, copies))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_no_number_is_larger_than_all(dtype: type) -> None:
    most = np.finfo(dtype).max
    odd = np.array([[np.nan, -np.nan, np.inf, -np.inf, most, -most], [1] * 6, [2] * 6], dtype)
    assert weighted_medians(odd, np.ones(3)).tolist() == [2, 2, 2, 1, 2, 1]
    two = np.array([[most, most, -0.0, np.nan, 5e-324], [most, -most, 0.0, np.nan, 5e-324]], dtype)
    expected = [most, 0, 0, np.nan, dtype(5e-324)]
    assert np.array_equal(weighted_medians(two, np.ones(2)), np.array(expected, dtype), equal_nan=True)


def test_the_order_of_uploads_changes_no_bit() -> None:
    draw = stream(3, "uploads")
    sent, p = draw.normal(size=(101, 70)), draw.random(101)
    turned = draw.permutation(101)
    assert np.array_equal(weighted_medians(sent, p), weighted_medians(sent[turned], p[turned]))


def test_a_half_that_rounding_missed_is_a_half() -> None:
    p = torch.tensor([0.1, 0.2, 0.2, 0.5], dtype=torch.float64)  # 0.1 + 0.2 + 0.2 is 0.5, in any order
    for order in ([0, 1, 2, 3], [2, 0, 1, 3], [3, 1, 0, 2]):
        values = torch.tensor([1.0, 2.0, 3.0, 7.0])[order]
        assert float(median(values, p[order])) == 5.0
