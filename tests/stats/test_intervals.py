"""Intervals over seeds against scipy, and what they leave out or refuse."""

import numpy as np
import pytest
from scipy import stats

from sim.checks import Refused
from sim.stats.intervals import half_width, interval, intervals, paired

NAN = np.nan


def test_interval_is_scipys() -> None:
    values = np.random.default_rng(1).normal(size=10)
    for level in (0.9, 0.95):
        low, high = stats.ttest_1samp(values, 0).confidence_interval(level)
        np.testing.assert_allclose(interval(values, level), [values.mean(), low, high], rtol=1e-12)


def test_interval_by_hand() -> None:
    # t quantile 0.975 with 2 degrees of freedom is 4.3027; sd of (1, 2, 3) is 1, so half = 4.3027 / sqrt 3
    assert interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 2.48414, 2 + 2.48414), abs=1e-4)


def test_overlapping_splits_widen_it_as_nadeau_and_bengio_say() -> None:
    # Nadeau and Bengio 2003, section 4: variance (1/n + n2/n1) s^2 instead of s^2/n; here 1/3 + 1/4
    assert interval(np.array([1.0, 2.0, 3.0]), overlap=0.25).high == pytest.approx(
        2 + 4.30265 * (7 / 12) ** 0.5, abs=1e-4
    )
    assert np.isnan(interval(np.array([1.0, 2.0, 3.0]), overlap=NAN).low)


@pytest.mark.parametrize("values", [[0.8], [0.7, 0.9]])
def test_too_few_seeds_have_no_interval(values: list[float]) -> None:
    mean, low, high = interval(np.array(values))
    assert mean == pytest.approx(0.8)
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("values", [[], [1.0, NAN]])
def test_missing_values_are_refused(values: list[float]) -> None:
    with pytest.raises(Refused, match="at least one, and no NaN"):
        interval(np.array(values))


def test_level_is_checked() -> None:
    with pytest.raises(Refused, match="level"):
        half_width(np.array([1.0]), np.array([3]), 1.0)


def test_paired_is_the_interval_of_differences() -> None:
    ours, theirs = np.array([0.8, 0.9, 0.7]), np.array([0.7, 0.85, 0.6])
    assert paired(ours, theirs) == interval(ours - theirs)
    with pytest.raises(Refused, match="same seeds"):
        paired(ours, theirs[:2])


def test_intervals_leave_undefined_seeds_out() -> None:
    found = intervals(np.array([[1.0, NAN], [2.0, NAN], [3.0, NAN], [NAN, NAN]]))
    assert found.mean[0] == 2
    assert found.seeds.tolist() == [3, 0]
    assert np.isnan([found.mean[1], found.low[1], found.high[1]]).all()
    np.testing.assert_allclose((found.low[0], found.high[0]), interval(np.array([1.0, 2.0, 3.0]))[1:])


def test_interval_covers_at_its_level() -> None:
    draws = np.random.default_rng(2).normal(size=(6, 4000))
    found = intervals(draws)
    assert ((found.low < 0) & (found.high > 0)).mean() == pytest.approx(0.95, abs=0.015)  # binomial sd 0.0034
