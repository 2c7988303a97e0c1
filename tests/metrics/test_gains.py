"""When a run reaches its target, and which sites gain by joining."""

import numpy as np
import pytest

from sim.checks import Refused
from sim.metrics import METRICS
from sim.metrics.convergence import first_reach
from sim.metrics.fairness import Tally, gain, tally, worst
from sim.stats.intervals import intervals

NAN = np.nan


def test_first_reach_and_censoring() -> None:
    merit = np.array([0.5, 0.7, 0.6, 0.8, 0.5, 0.6, NAN, 0.9])
    number = np.array([0, 2, 1, 3, 0, 1, 0, 1])  # rows of a run need not be in order
    spent = number * 100.0
    run = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    found = first_reach(merit, number, spent, run, np.array([0.6, 0.7, NAN]))
    assert found.reached.tolist() == [True, False, False]
    np.testing.assert_array_equal(found.rounds, [1, NAN, NAN])
    np.testing.assert_array_equal(found.bytes_spent, [100, NAN, NAN])


def test_gains_and_their_tally() -> None:
    local = np.full((3, 5), 0.7)
    noise = np.array([[-0.01], [0.0], [0.01]])
    shared = local + np.array([0.1, 0.001, -0.1, -0.001, NAN]) + noise
    gains = intervals(gain(shared, local, METRICS["auroc"]))
    assert tally(gains) == Tally(compared=4, gaining=2, gaining_significantly=1, losing=2, losing_significantly=1)
    turned = intervals(gain(shared, local, METRICS["brier"]))
    assert tally(turned) == Tally(compared=4, gaining=2, gaining_significantly=1, losing=2, losing_significantly=1)
    np.testing.assert_allclose(turned.mean[:4], -gains.mean[:4])


def test_gain_in_calibration_is_in_distance_from_zero() -> None:
    found = gain(np.array([[0.01, -0.3]]), np.array([[-0.05, 0.1]]), METRICS["citl"])
    np.testing.assert_allclose(found, [[0.04, -0.2]])


def test_gain_needs_the_same_sites() -> None:
    with pytest.raises(Refused, match="same seeds and sites"):
        gain(np.zeros((2, 3)), np.zeros((2, 4)), METRICS["auroc"])


def test_worst_site() -> None:
    assert worst(np.array([0.9, 0.6, NAN])) == 1
    assert worst(np.full(2, NAN)) == -1
