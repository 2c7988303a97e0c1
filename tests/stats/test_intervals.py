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
    # t quantile 0.975 with 1 degree of freedom is 12.706; sd of (1, 3) is sqrt 2, so half = 12.706 * sqrt 2 / sqrt 2
    assert interval(np.array([1.0, 3.0])) == pytest.approx((2, 2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_one_seed_has_no_interval() -> None:
    mean, low, high = interval(np.array([0.8]))
    assert mean == 0.8
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
    found = intervals(np.array([[1.0, NAN], [3.0, NAN], [NAN, NAN]]))
    assert found.mean[0] == 2
    assert found.seeds.tolist() == [2, 0]
    assert np.isnan([found.mean[1], found.low[1], found.high[1]]).all()
    np.testing.assert_allclose((found.low[0], found.high[0]), interval(np.array([1.0, 3.0]))[1:])


def test_interval_covers_at_its_level() -> None:
    draws = np.random.default_rng(2).normal(size=(6, 4000))
    found = intervals(draws)
    assert ((found.low < 0) & (found.high > 0)).mean() == pytest.approx(0.95, abs=0.015)  # binomial sd 0.0034
