"""Discrimination between patients with and without the event: AUROC and accuracy of every segment."""

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.metrics.order import sorted_rows
from sim.metrics.pairs import case_pairs, win_share
from sim.metrics.segments import contiguous, segment_mean

THRESHOLD = 0.5  # probability from which the event is predicted


def auroc(score: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """Area under the ROC curve: chance that a case scores above a control, ties 1/2; [R] -> [G].

    NaN where a segment has one class only, no rows, or a NaN score. Hanley and McNeil, Radiology 1982.
    """
    rows = len(segment)
    level, case = contiguous(score, np.float64, rows), contiguous(label, np.bool_, rows)
    by_score, start = sorted_rows(level, segment, segments)
    return win_share(*case_pairs(level, case, by_score, start))


def accuracy(score: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """Share of rows predicted correctly, the event from a probability of 0.5 on; [R] -> [G].

    NaN where a segment has no rows or a NaN score.
    """
    correct = np.where(np.isnan(score), np.nan, (score >= THRESHOLD) == label)
    return segment_mean(correct, segment, segments)
