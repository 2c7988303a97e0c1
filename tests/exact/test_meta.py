"""Meta-analysis against closed forms."""

import numpy as np
import pytest

from sim.exact.meta import meta


def test_meta_of_two_sites_by_hand() -> None:
    # weights 1, 1; Q = 1 + 1; C = 2 - 2 / 2 = 1; tau2 = (2 - 1) / 1; I2 = 1 / 2; weights then 1/2, 1/2
    found = meta(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    assert found[:3] == pytest.approx((2, 1, 0.5**0.5))
    assert (found.q, found.i2, found.tau2, found.random, found.random_se) == pytest.approx((2, 0.5, 1, 1, 1))


def test_meta_of_three_sites_by_hand() -> None:
    # w = 1, 4, 1: fixed 13/6; Q = (49 + 4 + 121) / 36; C = 6 - 18/6 = 3; tau2 = (Q - 2) / 3
    found = meta(np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.5, 1.0]))
    tau2 = (174 / 36 - 2) / 3
    assert (found.fixed, found.q, found.tau2) == pytest.approx((13 / 6, 174 / 36, tau2))
    v = 1 / (np.array([1, 0.25, 1]) + tau2)
    assert found.random == pytest.approx(v @ [1, 2, 4] / v.sum())
    assert found.p == pytest.approx(np.exp(-174 / 72))  # chi-square with 2 degrees of freedom
    # Student's t with one degree of freedom has its 0.975 quantile at tan(0.475 pi)
    half = np.tan(0.475 * np.pi) * np.sqrt(tau2 + 1 / v.sum())
    assert (found.next_low, found.next_high) == pytest.approx((found.random - half, found.random + half))


def test_meta_of_like_sites_and_of_too_few() -> None:
    same = meta(np.full(4, 0.3), np.full(4, 0.1))
    assert (same.q, same.i2, same.tau2, same.fixed) == pytest.approx((0, 0, 0, 0.3), abs=1e-12)
    assert np.isnan(meta(np.array([1.0]), np.array([1.0])).q)
    assert np.isnan(meta(np.zeros(0), np.zeros(0)).fixed)
