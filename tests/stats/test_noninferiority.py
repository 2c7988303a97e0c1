"""The rule of the gate's quality tier: bounds and p values of paired differences, and Holm's correction."""

import numpy as np
import pytest
import scipy.stats

from sim.checks import Refused
from sim.random import stream
from sim.stats.noninferiority import holm, of_bootstrap, of_student, shown

SEVEN = np.array([-0.012, 0.004, -0.006, 0.001, -0.009, -0.002, 0.003])
TWELVE = np.concatenate([SEVEN, [-0.001, -0.03, 0.002, -0.004, 0.0]])


def test_few_differences_take_the_t_test() -> None:
    found = shown(SEVEN, 0.01, 0.95)
    half = 1.9432 * SEVEN.std(ddof=1) / 7**0.5  # t of 6 degrees of freedom, from a table
    assert found.low == pytest.approx(SEVEN.mean() - half, abs=1e-6)
    assert found.high == pytest.approx(SEVEN.mean() + half, abs=1e-6)
    assert found.kept == pytest.approx(scipy.stats.ttest_1samp(SEVEN, -0.01, alternative="greater").pvalue)
    assert found.lost == pytest.approx(scipy.stats.ttest_1samp(SEVEN, -0.01, alternative="less").pvalue)


def test_the_bootstrap_is_scipys() -> None:
    found = of_bootstrap(TWELVE, 0.01, 0.975)
    theirs = scipy.stats.bootstrap(
        (TWELVE,), np.mean, method="BCa", n_resamples=20_000, rng=stream(1, "test"), confidence_level=0.95
    ).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=3e-4)
    assert found.high == pytest.approx(theirs.high, abs=3e-4)


def test_of_ten_and_more_the_wider_bound_counts() -> None:
    both, student, bootstrap = (rule(TWELVE, 0.01, 0.95) for rule in (shown, of_student, of_bootstrap))
    assert both.low == min(student.low, bootstrap.low) == bootstrap.low  # skewed to the left
    assert both.high == max(student.high, bootstrap.high) == student.high


@pytest.mark.parametrize("rule", [of_student, of_bootstrap])
@pytest.mark.parametrize("margin", [0.002, 0.004, 0.008, 0.012])
def test_p_values_agree_with_bounds(rule, margin) -> None:
    for level in (0.9, 0.95, 0.975, 0.99):
        found = rule(TWELVE, margin, level)
        assert (found.low > -margin) == (found.kept < 1 - level)
        assert (found.high < -margin) == (found.lost < 1 - level)


def test_differences_without_spread_are_certain() -> None:
    lost = shown(np.full(5, -0.02), 0.01)
    assert (lost.low, lost.high, lost.kept, lost.lost) == (-0.02, -0.02, 1.0, 0.0)
    assert shown(np.zeros(5), 0.01).kept == 0.0


@pytest.mark.parametrize("differences", [np.zeros(4), np.array([0.1, np.nan, 0, 0, 0])])
def test_too_few_and_nan_are_refused(differences) -> None:
    with pytest.raises(Refused, match="give 5 or more"):
        shown(differences, 0.01)


@pytest.mark.parametrize("seeds", [5, 10])
def test_a_loss_as_large_as_the_margin_seldom_passes_and_seldom_fails(seeds: int) -> None:
    """Both errors are 5 %; of 300 draws more than 9 % would be seen once in two thousand times."""
    draws = stream(0, "size").normal(-0.01, 0.01, (300, seeds))
    found = [shown(one, 0.01, 0.95) for one in draws]
    assert np.mean([one.low > -0.01 for one in found]) < 0.09
    assert np.mean([one.high < -0.01 for one in found]) < 0.09


def test_power_grows_with_seeds() -> None:
    """No loss at all, a margin of two standard deviations: almost always shown with ten seeds."""
    draws = stream(0, "power").normal(0, 0.005, (200, 10))
    five, ten = (np.mean([shown(one[:seeds], 0.01, 0.975).low > -0.01 for one in draws]) for seeds in (5, 10))
    assert ten > 0.97
    assert 0.6 < five < ten


def test_holm_steps_down() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.2, 0.9, 0.001, 0.6]) == pytest.approx([0.6, 1.0, 0.004, 1.0])
    assert holm([]) == []
