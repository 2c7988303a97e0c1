"""Metrics of segments against scikit-learn and lifelines, segment by segment."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused
from sim.metrics import METRICS
from sim.metrics.calibration import brier, citl
from sim.metrics.discrimination import accuracy, auroc
from sim.metrics.order import radix_sorted, sorted_rows
from sim.metrics.pairs import case_pairs, exit_pairs
from sim.metrics.segments import segment_mean
from sim.metrics.survival import harrell_c

SEGMENTS = 4
Table = tuple[Floats, Bools, Floats, Ints]  # score, label or event, days, segment; [R] each
Metric = Callable[[Floats, Bools, Ints, int], Floats]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Small tables with many ties: score, label or event, days, segment."""
    rows = draw(st.integers(0, 40))

    def column(high: int) -> Ints:
        return np.array(draw(st.lists(st.integers(0, high), min_size=rows, max_size=rows)), dtype=np.int64)

    return column(4) / 4, column(1) == 1, column(5).astype(float), column(SEGMENTS - 1)


@st.composite
def hostile_tables(draw: st.DrawFn) -> Table:
    """As `tables`, but of any float: both zeros, infinities, subnormals and NaN."""
    rows = draw(st.integers(0, 40))
    few = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 5e-324, 0.5, np.inf])
    score = draw(st.lists(few | st.floats(), min_size=rows, max_size=rows))
    days = draw(st.lists(few | st.floats(), min_size=rows, max_size=rows))
    label, segment = (draw(st.lists(st.integers(0, high), min_size=rows, max_size=rows)) for high in (1, SEGMENTS - 1))
    return np.array(score, float), np.array(label, bool), np.array(days, float), np.array(segment, np.int64)


def one_by_one(segment: Ints, function: Callable[[Ints], float]) -> Floats:
    """Value of every segment from the numbers of its rows; [G]."""
    return np.array([function(np.flatnonzero(segment == number)) for number in range(SEGMENTS)])


@settings(max_examples=150)
@given(tables())
def test_auroc_is_scikit_learns(table: Table) -> None:
    score, label, _, segment = table

    def reference(rows: Ints) -> float:
        return roc_auc_score(label[rows], score[rows]) if 0 < label[rows].sum() < len(rows) else np.nan

    np.testing.assert_allclose(auroc(score, label, segment, SEGMENTS), one_by_one(segment, reference), atol=1e-12)


@settings(max_examples=150)
@given(tables())
def test_harrell_c_is_lifelines(table: Table) -> None:
    risk, event, days, segment = table

    def reference(rows: Ints) -> float:
        try:
            return concordance_index(days[rows], -risk[rows], event[rows])
        except ZeroDivisionError:
            return np.nan

    np.testing.assert_allclose(
        harrell_c(risk, days, event, segment, SEGMENTS), one_by_one(segment, reference), atol=1e-12
    )


def test_harrell_c_on_many_patients_is_lifelines() -> None:
    rng = np.random.default_rng(0)
    days, risk = rng.exponential(400, 20_000).round(), rng.normal(size=20_000).round(2)
    event, segment = rng.random(20_000) < 0.4, rng.integers(0, SEGMENTS, 20_000)

    def reference(rows: Ints) -> float:
        return concordance_index(days[rows], -risk[rows], event[rows])

    ours = harrell_c(risk, days, event, segment, SEGMENTS)
    np.testing.assert_allclose(ours, one_by_one(segment, reference), atol=1e-12)


def won_of(pairs: list[tuple[float, float]]) -> float:
    """Share of the pairs (winner's score, loser's score) that are in order; a tie is half of one."""
    scores = [score for pair in pairs for score in pair]
    if not pairs or np.isnan(scores).any():
        return np.nan
    return sum((high > low) + (high == low) / 2 for high, low in pairs) / len(pairs)


@settings(max_examples=400)
@given(hostile_tables())
def test_auroc_is_the_count_of_all_pairs_to_the_last_bit(table: Table) -> None:
    score, label, _, segment = table

    def every_pair(rows: Ints) -> float:
        if np.isnan(score[rows]).any():
            return np.nan
        return won_of([(score[i], score[j]) for i in rows for j in rows if label[i] and not label[j]])

    np.testing.assert_array_equal(auroc(score, label, segment, SEGMENTS), one_by_one(segment, every_pair))


@settings(max_examples=400)
@given(hostile_tables())
def test_harrell_c_is_the_count_of_all_pairs_to_the_last_bit(table: Table) -> None:
    risk, event, days, segment = table

    def outlived(i: int, j: int) -> bool:
        return event[i] and (days[i] < days[j] or (days[i] == days[j] and not event[j]))

    def every_pair(rows: Ints) -> float:
        if np.isnan(risk[rows]).any() or np.isnan(days[rows]).any():
            return np.nan
        return won_of([(risk[i], risk[j]) for i in rows for j in rows if outlived(i, j)])

    np.testing.assert_array_equal(harrell_c(risk, days, event, segment, SEGMENTS), one_by_one(segment, every_pair))


@settings(max_examples=100)
@given(hostile_tables())
def test_rows_are_ordered_by_segment_then_value_then_row(table: Table) -> None:
    score, _, _, segment = table
    score = np.where(np.isnan(score), 0.0, score)
    order, start = sorted_rows(score, segment, SEGMENTS)
    np.testing.assert_array_equal(order, np.lexsort((score, segment)))
    np.testing.assert_array_equal(start, np.searchsorted(np.sort(segment), np.arange(SEGMENTS + 1)))


def test_tie_rule_of_harrell_c_by_hand() -> None:
    # Patient 0 dies on day 5. Patient 1 is censored that day: comparable, and outlived 0. Patient 2 dies that day too:
    # no pair with 0. So the pairs are (0, 1) and (2, 1); risks 3 > 2 is right, 2 = 2 counts a half: 1.5 of 2.
    risk, days, event = np.array([3.0, 2.0, 2.0]), np.full(3, 5.0), np.array([True, False, True])
    assert harrell_c(risk, days, event, np.zeros(3, dtype=np.int64), 1) == [0.75]


@settings(max_examples=50)
@given(tables())
def test_brier_accuracy_and_citl_are_means(table: Table) -> None:
    score, label, _, segment = table

    def when_any(function: Callable[[Ints], float]) -> Callable[[Ints], float]:
        return lambda rows: function(rows) if len(rows) else np.nan

    checks = {
        brier: lambda rows: brier_score_loss(label[rows], score[rows], labels=[False, True]),
        accuracy: lambda rows: accuracy_score(label[rows], score[rows] >= 0.5),
        citl: lambda rows: label[rows].mean() - score[rows].mean(),
    }
    for ours, theirs in checks.items():
        expected = one_by_one(segment, when_any(theirs))
        np.testing.assert_allclose(ours(score, label, segment, SEGMENTS), expected, atol=1e-12)


@settings(max_examples=50)
@given(tables(), st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(table: Table, seed: int) -> None:
    score, label, days, segment = table
    turn = np.random.default_rng(seed).permutation(len(score))
    moved = [column[turn] for column in table]
    np.testing.assert_array_equal(auroc(score, label, segment, SEGMENTS), auroc(moved[0], moved[1], moved[3], SEGMENTS))
    np.testing.assert_array_equal(
        harrell_c(score, days, label, segment, SEGMENTS), harrell_c(moved[0], moved[2], moved[1], moved[3], SEGMENTS)
    )


@settings(max_examples=50)
@given(tables())
def test_reversed_scores_mirror_auroc_and_c(table: Table) -> None:
    score, label, days, segment = table
    for metric in (
        lambda s: auroc(s, label, segment, SEGMENTS),
        lambda s: harrell_c(s, days, label, segment, SEGMENTS),
    ):
        np.testing.assert_allclose(metric(score) + metric(-score), np.where(np.isnan(metric(score)), np.nan, 1.0))


def test_a_nan_score_spoils_its_own_segment_only() -> None:
    score, label = np.array([0.1, 0.9, np.nan, 0.9]), np.array([False, True, False, True])
    segment, days = np.array([0, 0, 1, 1]), np.array([2.0, 1.0, 2.0, 1.0])
    found = [function(score, label, segment, 2) for function in (auroc, accuracy, brier, citl)]
    found.append(harrell_c(score, days, label, segment, 2))
    assert not np.isnan([values[0] for values in found]).any()
    assert np.isnan([values[1] for values in found]).all()


def every_metric(score: Floats, days: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """All metrics of all segments, [5, G]."""
    found = [function(score, label, segment, segments) for function in (auroc, accuracy, brier, citl)]
    return np.array([*found, harrell_c(score, days, label, segment, segments)])


def federation_like(rows: int, segments: int) -> tuple[Floats, Floats, Bools, Ints]:
    """Score, days, label and segment, in order of segment; some segments have no rows."""
    rng = np.random.default_rng(7)
    segment = np.sort((segments * rng.beta(0.7, 2.0, rows)).astype(np.int64))
    score, days = rng.random(rows).astype(np.float32).astype(np.float64), rng.exponential(700, rows).round()
    return score, days, rng.random(rows) < 0.2, segment


def test_a_block_of_sites_has_the_bits_it_has_among_all() -> None:
    score, days, label, segment = federation_like(60_000, 10_000)
    whole = every_metric(score, days, label, segment, 10_000)
    blocks = []
    for low in range(0, 10_000, 3_000):
        high = min(low + 3_000, 10_000)
        rows = slice(*np.searchsorted(segment, [low, high]))
        blocks.append(every_metric(score[rows], days[rows], label[rows], segment[rows] - low, high - low))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    assert np.isnan(whole).any()
    assert np.isfinite(whole).any(1).all()


def test_any_layout_of_the_columns_is_one_compiled_form() -> None:
    score, days, label, segment = federation_like(2_000, 50)
    expected = every_metric(score, days, label, segment, 50)
    forms = [len(loop.dispatcher.signatures) for loop in (radix_sorted, case_pairs, exit_pairs)]
    spread = [np.repeat(column, 2)[::2] for column in (score.astype(np.float32), days.astype(np.int32), label, segment)]
    frozen = [column.copy() for column in (score, days, label.astype(np.uint8), segment.astype(np.int32))]
    for column in frozen:
        column.flags.writeable = False
    for columns in (spread, frozen):
        np.testing.assert_array_equal(every_metric(*columns, 50)[[0, 4]], expected[[0, 4]])
    assert forms == [len(loop.dispatcher.signatures) for loop in (radix_sorted, case_pairs, exit_pairs)] == [1, 1, 1]


@pytest.mark.parametrize("segment", [[0, 3], [-1, 2]])
def test_a_segment_that_is_not_in_the_table_is_refused(segment: list[int]) -> None:
    score, label = np.array([0.1, 0.9]), np.array([False, True])
    for function in (auroc, accuracy, brier, citl):
        with pytest.raises(Refused, match="number them from 0 to 2"):
            function(score, label, np.array(segment), 3)
    with pytest.raises(Refused, match="number them from 0 to 2"):
        harrell_c(score, np.ones(2), label, np.array(segment), 3)


def test_columns_of_different_length_are_refused() -> None:
    segment, label = np.zeros(3, dtype=np.int64), np.array([True, False, True])
    for score, days in ((np.ones(4), np.ones(3)), (np.ones(3), np.ones(2))):
        with pytest.raises(Refused, match="one value per row"):
            harrell_c(score, days, label, segment, 1)
    with pytest.raises(Refused, match="one value per row"):
        auroc(np.ones(3), label[:2], segment, 1)


@pytest.mark.parametrize("function", [auroc, accuracy, brier, citl])
def test_no_rows_at_all(function: Metric) -> None:
    empty = np.zeros(0)
    assert np.isnan(function(empty, empty.astype(bool), empty.astype(np.int64), 3)).tolist() == [True] * 3


def test_no_patients_at_all() -> None:
    empty = np.zeros(0)
    assert np.isnan(harrell_c(empty, empty, empty.astype(bool), empty.astype(np.int64), 3)).all()


def test_segment_mean() -> None:
    mean = segment_mean(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 2]), 3)
    np.testing.assert_array_equal(mean, [1.5, np.nan, 6.0])


def test_merit_points_upwards() -> None:
    values = np.array([-0.2, 0.1])
    assert METRICS["auroc"].merit(values).tolist() == [-0.2, 0.1]
    assert METRICS["brier"].merit(values).tolist() == [0.2, -0.1]
    assert METRICS["citl"].merit(values).tolist() == [-0.2, -0.1]  # 0.1 too low is better than 0.2 too high
    for metric in METRICS.values():
        np.testing.assert_array_equal(metric.from_merit(metric.merit(np.array([0.3]))), [0.3])
