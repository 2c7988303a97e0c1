"""Metrics of numbers and counts are scikit-learn's, segment by segment."""

import numpy as np
import pytest
from sklearn import metrics

from sim.arrays import Floats, Ints
from sim.metrics.regression import d2, mae, r2, rmse


@pytest.fixture(scope="module")
def scored() -> tuple[Floats, Floats, Ints]:
    """Expected counts, counts, and segments 0, 1, 3 of four."""
    rng = np.random.default_rng(0)
    mean = rng.gamma(2.0, 1.0, 60)
    return mean, rng.poisson(mean).astype(float), np.repeat([0, 1, 3], [30, 20, 10])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rmse, metrics.root_mean_squared_error),
        (mae, metrics.mean_absolute_error),
        (r2, metrics.r2_score),
        (d2, lambda y, mean: metrics.d2_tweedie_score(y, mean, power=1)),
    ],
)
def test_a_metric_is_scikit_learns(ours, theirs, scored) -> None:
    mean, value, segment = scored
    found = ours(mean, value, segment, 4)
    for at in (0, 1, 3):
        mine = segment == at
        assert found[at] == pytest.approx(theirs(value[mine], mean[mine]), rel=1e-12)
    assert np.isnan(found[2])


def test_nothing_is_explained_where_all_outcomes_are_the_same() -> None:
    same, segment = np.full(4, 2.0), np.zeros(4, dtype=np.int64)
    assert np.isnan(r2(np.arange(4.0), same, segment, 1)[0])
    assert np.isnan(d2(np.arange(1, 5.0), same, segment, 1)[0])
