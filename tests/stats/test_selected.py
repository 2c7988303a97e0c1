"""Comparisons under the null: what is called different where nothing differs, in 5 % of studies and no more.

Both tests hold the rate to 5 % +- 1.5; with 4,000 studies its standard error is 0.34 %.
"""

import numpy as np
import pytest

from sim.stats.intervals import intervals
from sim.stats.selected import level_of_chosen, level_with_best

STUDIES = 4000


@pytest.mark.parametrize(("methods", "seeds"), [(2, 5), (7, 5), (7, 10), (12, 20)])
def test_the_best_of_equal_methods_is_ahead_of_another_in_one_study_of_twenty(methods: int, seeds: int) -> None:
    values = np.random.default_rng(1).normal(size=(seeds, methods, STUDIES))
    best = values.mean(0).argmax(0)
    ahead = np.take_along_axis(values, best[None, None], 1) - values
    found = intervals(ahead.reshape(seeds, -1), level_with_best(methods, seeds))
    claimed = (found.low.reshape(methods, STUDIES) > 0).any(0)
    assert claimed.mean() == pytest.approx(0.05, abs=0.015)


def test_resemblance_of_methods_does_not_raise_the_rate() -> None:
    spread = np.array([0.1, 0.1, 0.1, 0.5, 1, 1, 2])[None, :, None]
    values = spread * np.random.default_rng(2).normal(size=(10, 7, STUDIES))
    best = values.mean(0).argmax(0)
    ahead = np.take_along_axis(values, best[None, None], 1) - values
    found = intervals(ahead.reshape(10, -1), level_with_best(7, 10))
    assert (found.low.reshape(7, STUDIES) > 0).any(0).mean() < 0.065


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_equal_methods_on_the_same_patients_differ_in_one_population_of_twenty(seeds: int) -> None:
    """Populations of 300 patients, split by every seed; least-squares lines on one of two equally good features.

    Neither method is better in the world, and no population shows it but by chance. Seed by seed without the overlap
    they were told apart in 14 % of populations (5 seeds) to 41 % (20 seeds).
    """
    draw = np.random.default_rng(3)
    size, test, train = 300, 60, 180
    counted, naive = [], []
    for _ in range(10):
        many = STUDIES // 10
        y = draw.random((many, 1, size)) < 0.5
        x = draw.normal(size=(2, many, 1, size)) + 0.5 * y
        order = draw.random((many, seeds, size)).argsort(2)
        held, learned = order[..., :test], order[..., -train:]
        target = y.astype(float)
        loss = [brier(feature, target, learned, held) for feature in x]
        difference = (loss[0] - loss[1]).T  # [seeds, many]
        counted += (np.abs(signs(intervals(difference, overlap=test / (size - test))))).tolist()
        naive += (np.abs(signs(intervals(difference)))).tolist()
    assert np.mean(counted) == pytest.approx(0.05, abs=0.015)
    assert np.mean(naive) > 0.1


def brier(x: np.ndarray, y: np.ndarray, learned: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Mean squared error on held patients of the line fitted to the learned ones; [m, 1, N], [m, s, n] -> [m, s]."""
    x, y = (np.broadcast_to(part, (*learned.shape[:2], part.shape[-1])) for part in (x, y))
    a, b = np.take_along_axis(x, learned, 2), np.take_along_axis(y, learned, 2)
    mean_a, mean_b = a.mean(2, keepdims=True), b.mean(2, keepdims=True)
    slope = ((a - mean_a) * (b - mean_b)).mean(2, keepdims=True) / a.var(2, keepdims=True)
    error = mean_b + slope * (np.take_along_axis(x, held, 2) - mean_a) - np.take_along_axis(y, held, 2)
    return np.asarray((error**2).mean(2))


def signs(found: object) -> np.ndarray:
    """1 where an interval lies above zero, -1 where below, else 0."""
    return (found.low > 0).astype(int) - (found.high < 0)  # type: ignore[attr-defined]


def test_levels_of_few_methods() -> None:
    assert level_with_best(2, 10) == 0.95
    assert level_of_chosen(1) == 0.95
    assert level_of_chosen(5) == pytest.approx(0.99)
