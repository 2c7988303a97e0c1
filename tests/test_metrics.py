"""Segmented metrics against scikit-learn and lifelines, segment by segment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

from sim.metrics import METRICS
from sim.metrics.calibration import brier, citl
from sim.metrics.discrimination import accuracy, auroc
from sim.metrics.segments import segment_mean
from sim.metrics.survival import harrell_c

SEGMENTS = 4


@st.composite
def tables(draw):
    """Small tables with many ties: score, label or event, days, segment."""
    rows = draw(st.integers(0, 40))

    def column(high):
        return np.array(draw(st.lists(st.integers(0, high), min_size=rows, max_size=rows)), dtype=np.int64)

    return column(4) / 4, column(1) == 1, column(5).astype(float), column(SEGMENTS - 1)


def one_by_one(segment, function):
    return np.array([function(np.flatnonzero(segment == at)) for at in range(SEGMENTS)])


@settings(max_examples=150, deadline=None)
@given(tables())
def test_auroc_is_scikit_learns(table):
    score, label, _, segment = table

    def reference(rows):
        return roc_auc_score(label[rows], score[rows]) if 0 < label[rows].sum() < len(rows) else np.nan

    np.testing.assert_allclose(auroc(score, label, segment, SEGMENTS), one_by_one(segment, reference), atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(tables())
def test_harrell_c_is_lifelines(table):
    risk, event, days, segment = table

    def reference(rows):
        try:
            return concordance_index(days[rows], -risk[rows], event[rows])
        except ZeroDivisionError:
            return np.nan

    np.testing.assert_allclose(
        harrell_c(risk, days, event, segment, SEGMENTS), one_by_one(segment, reference), atol=1e-12
    )


def test_harrell_c_on_many_patients_is_lifelines():
    rng = np.random.default_rng(0)
    days, risk = rng.exponential(400, 20_000).round(), rng.normal(size=20_000).round(2)
    event, segment = rng.random(20_000) < 0.4, rng.integers(0, SEGMENTS, 20_000)

    def reference(rows):
        return concordance_index(days[rows], -risk[rows], event[rows])

    ours = harrell_c(risk, days, event, segment, SEGMENTS)
    np.testing.assert_allclose(ours, one_by_one(segment, reference), atol=1e-12)


def test_tie_rule_of_harrell_c_by_hand():
    # Patient 0 dies on day 5. Patient 1 is censored that day: comparable, and outlived 0. Patient 2 dies that day too:
    # no pair with 0. So the pairs are (0, 1) and (2, 1); risks 3 > 2 is right, 2 = 2 counts a half: 1.5 of 2.
    risk, days, event = np.array([3.0, 2.0, 2.0]), np.full(3, 5.0), np.array([True, False, True])
    assert harrell_c(risk, days, event, np.zeros(3, dtype=np.int64), 1) == [0.75]


@settings(max_examples=50, deadline=None)
@given(tables())
def test_brier_accuracy_and_citl_are_means(table):
    score, label, _, segment = table

    def when_any(function):
        return lambda rows: function(rows) if len(rows) else np.nan

    checks = {
        brier: lambda rows: brier_score_loss(label[rows], score[rows], labels=[False, True]),
        accuracy: lambda rows: accuracy_score(label[rows], score[rows] >= 0.5),
        citl: lambda rows: label[rows].mean() - score[rows].mean(),
    }
    for ours, theirs in checks.items():
        expected = one_by_one(segment, when_any(theirs))
        np.testing.assert_allclose(ours(score, label, segment, SEGMENTS), expected, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(tables(), st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(table, seed):
    score, label, days, segment = table
    turn = np.random.default_rng(seed).permutation(len(score))
    moved = [column[turn] for column in table]
    np.testing.assert_array_equal(auroc(score, label, segment, SEGMENTS), auroc(moved[0], moved[1], moved[3], SEGMENTS))
    np.testing.assert_array_equal(
        harrell_c(score, days, label, segment, SEGMENTS), harrell_c(moved[0], moved[2], moved[1], moved[3], SEGMENTS)
    )


@settings(max_examples=50, deadline=None)
@given(tables())
def test_reversed_scores_mirror_auroc_and_c(table):
    score, label, days, segment = table
    for metric in (
        lambda s: auroc(s, label, segment, SEGMENTS),
        lambda s: harrell_c(s, days, label, segment, SEGMENTS),
    ):
        np.testing.assert_allclose(metric(score) + metric(-score), np.where(np.isnan(metric(score)), np.nan, 1.0))


def test_a_nan_score_spoils_its_own_segment_only():
    score, label = np.array([0.1, 0.9, np.nan, 0.9]), np.array([False, True, False, True])
    segment, days = np.array([0, 0, 1, 1]), np.array([2.0, 1.0, 2.0, 1.0])
    found = [function(score, label, segment, 2) for function in (auroc, accuracy, brier, citl)]
    found.append(harrell_c(score, days, label, segment, 2))
    assert not np.isnan([values[0] for values in found]).any()
    assert np.isnan([values[1] for values in found]).all()


@pytest.mark.parametrize("function", [auroc, accuracy, brier, citl])
def test_no_rows_at_all(function):
    empty = np.zeros(0)
    assert np.isnan(function(empty, empty.astype(bool), empty.astype(np.int64), 3)).tolist() == [True] * 3


def test_no_patients_at_all():
    empty = np.zeros(0)
    assert np.isnan(harrell_c(empty, empty, empty.astype(bool), empty.astype(np.int64), 3)).all()


def test_segment_mean():
    mean = segment_mean(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 2]), 3)
    np.testing.assert_array_equal(mean, [1.5, np.nan, 6.0])


def test_merit_points_upwards():
    values = np.array([-0.2, 0.1])
    assert METRICS["auroc"].merit(values).tolist() == [-0.2, 0.1]
    assert METRICS["brier"].merit(values).tolist() == [0.2, -0.1]
    assert METRICS["citl"].merit(values).tolist() == [-0.2, -0.1]  # 0.1 too low is better than 0.2 too high
    for metric in METRICS.values():
        np.testing.assert_array_equal(metric.shown(metric.merit(np.array([0.3]))), [0.3])
