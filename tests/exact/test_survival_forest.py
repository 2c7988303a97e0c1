"""Survival trees against lifelines, and the draws of a forest."""

import numpy as np
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time

from sim.arrays import Bools, Floats
from sim.exact.survival_forest import Growing, areas, counts
from sim.exact.survival_tree import best_threshold, grow, log_rank


def patients(rows: int = 60) -> tuple[Floats, Floats, Bools]:
    """x [n, 3], months in ascending order, with ties, and events."""
    rng = np.random.default_rng(0)
    time = np.sort(np.ceil(rng.exponential(12, rows)))
    return rng.normal(size=(rows, 3)), time, rng.random(rows) < 0.7


def test_the_statistic_is_lifelines() -> None:
    x, time, event = patients()
    left = x[:, 0] <= 0.2
    expected = logrank_test(time[left], time[~left], event[left], event[~left]).test_statistic
    np.testing.assert_allclose(log_rank(left, time, event), expected)


def test_the_threshold_is_the_best_of_all_that_leave_enough_on_both_sides() -> None:
    x, time, event = patients()
    values = np.sort(x[:, 0])
    middles = (values[1:] + values[:-1])[9:-9] / 2
    every = [log_rank(x[:, 0] <= middle, time, event) for middle in middles]
    found, threshold = best_threshold(x[:, 0], time, event, 10)
    assert found == max(every)
    assert threshold == middles[np.argmax(every)]


def test_a_tree_that_may_not_split_is_lifelines_kaplan_meier() -> None:
    x, time, event = patients()
    nodes, curves = grow(x, time, event, 3, 100, 3, 0, np.uint64(1))
    fitted = KaplanMeierFitter().fit(time, event)
    assert nodes[:, 0].tolist() == [-1]
    np.testing.assert_allclose(curves[:, 1], fitted.predict(curves[:, 0]))
    last = curves[-1, 0]
    np.testing.assert_allclose(areas(nodes, curves, last), restricted_mean_survival_time(fitted, t=last))


def test_leaves_keep_to_their_limits() -> None:
    x, time, event = patients()
    for depth in (1, 2):
        nodes, _ = grow(x, time, event, 3, 2, 5, depth, np.uint64(1))
        assert len(nodes) <= 2 ** (depth + 1) - 1
    assert len(grow(x, time, event, 3, 2, 31, 0, np.uint64(1))[0]) == 1


def test_bootstrap_trees_differ_and_are_the_same_again() -> None:
    x, time, event = patients()
    rows = {"x": x, "time_days": time, "event": event.astype(float)}
    growing = Growing(np.array([7], np.uint64), np.array([2]), 100, 3, 20, 3, 0, True, 0).at(0)
    first, second = growing.tree(rows, 0), growing.tree(rows, 1)
    assert first[1].shape != second[1].shape or (first[1] != second[1]).any()
    np.testing.assert_array_equal(first[1], growing.tree(rows, 0)[1])


def test_counts_add_up_and_nobody_gives_more_than_it_has() -> None:
    weights = np.array([90.0, 9.0, 0.0, 1.0])
    for seed in range(20):
        found = counts(weights, 25, 10, seed)
        assert found.sum() == 25
        assert found.max() <= 10
        assert found[2] == 0
    assert counts(weights, 30, 10, 0).tolist() == [10, 10, 0, 10]
