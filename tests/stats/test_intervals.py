"""Intervals against scipy, the target's censoring, and who gains."""

import numpy as np
import pytest
from scipy import stats

from sim.checks import Refused
from sim.metrics import METRICS
from sim.metrics.convergence import first_reach
from sim.metrics.fairness import Tally, gain, tally, worst
from sim.stats.intervals import half_width, interval, intervals, paired

NAN = np.nan


def test_interval_is_scipys():
    values = np.random.default_rng(1).normal(size=10)
    for level in (0.9, 0.95):
        low, high = stats.ttest_1samp(values, 0).confidence_interval(level)
        np.testing.assert_allclose(interval(values, level), [values.mean(), low, high], rtol=1e-12)


def test_interval_by_hand():
    # t quantile 0.975 with 1 degree of freedom is 12.706; sd of (1, 3) is sqrt 2, so half = 12.706 * sqrt 2 / sqrt 2
    assert interval(np.array([1.0, 3.0])) == pytest.approx((2, 2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_one_seed_has_no_interval():
    mean, low, high = interval(np.array([0.8]))
    assert mean == 0.8
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("values", [[], [1.0, NAN]])
def test_missing_values_are_refused(values):
    with pytest.raises(Refused, match="at least one, and no NaN"):
        interval(np.array(values))


def test_level_is_checked():
    with pytest.raises(Refused, match="level"):
        half_width(np.array([1.0]), np.array([3]), 1.0)


def test_paired_is_the_interval_of_differences():
    ours, theirs = np.array([0.8, 0.9, 0.7]), np.array([0.7, 0.85, 0.6])
    assert paired(ours, theirs) == interval(ours - theirs)
    with pytest.raises(Refused, match="same seeds"):
        paired(ours, theirs[:2])


def test_intervals_leave_undefined_seeds_out():
    found = intervals(np.array([[1.0, NAN], [3.0, NAN], [NAN, NAN]]))
    assert found.mean[0] == 2
    assert found.seeds.tolist() == [2, 0]
    assert np.isnan([found.mean[1], found.low[1], found.high[1]]).all()
    np.testing.assert_allclose((found.low[0], found.high[0]), interval(np.array([1.0, 3.0]))[1:])


def test_interval_covers_at_its_level():
    draws = np.random.default_rng(2).normal(size=(6, 4000))
    found = intervals(draws)
    assert ((found.low < 0) & (found.high > 0)).mean() == pytest.approx(0.95, abs=0.015)  # binomial sd 0.0034


def test_first_reach_and_censoring():
    merit = np.array([0.5, 0.7, 0.6, 0.8, 0.5, 0.6, NAN, 0.9])
    number = np.array([0, 2, 1, 3, 0, 1, 0, 1])  # rows of a run need not be in order
    spent = number * 100.0
    run = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    found = first_reach(merit, number, spent, run, np.array([0.6, 0.7, NAN]))
    assert found.reached.tolist() == [True, False, False]
    np.testing.assert_array_equal(found.rounds, [1, NAN, NAN])
    np.testing.assert_array_equal(found.bytes_spent, [100, NAN, NAN])


def test_gains_and_their_tally():
    local = np.full((3, 5), 0.7)
    noise = np.array([[-0.01], [0.0], [0.01]])
    shared = local + np.array([0.1, 0.001, -0.1, -0.001, NAN]) + noise
    gains = intervals(gain(shared, local, METRICS["auroc"]))
    assert tally(gains) == Tally(compared=4, gaining=2, surely_gaining=1, losing=2, surely_losing=1)
    turned = intervals(gain(shared, local, METRICS["brier"]))
    assert tally(turned) == Tally(compared=4, gaining=2, surely_gaining=1, losing=2, surely_losing=1)
    np.testing.assert_allclose(turned.mean[:4], -gains.mean[:4])


def test_gain_in_calibration_is_in_distance_from_zero():
    found = gain(np.array([[0.01, -0.3]]), np.array([[-0.05, 0.1]]), METRICS["citl"])
    np.testing.assert_allclose(found, [[0.04, -0.2]])


def test_gain_needs_the_same_sites():
    with pytest.raises(Refused, match="same seeds and sites"):
        gain(np.zeros((2, 3)), np.zeros((2, 4)), METRICS["auroc"])


def test_worst_site():
    assert worst(np.array([0.9, 0.6, NAN])) == 1
    assert worst(np.full(2, NAN)) == -1
