"""How well a score tells patients with the event from those without: AUROC and accuracy of every segment."""

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.metrics.order import ordered
from sim.metrics.pairs import case_pairs, share
from sim.metrics.segments import plain, segment_mean

THRESHOLD = 0.5  # probability from which the event is predicted


def auroc(score: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """Area under the ROC curve: chance that a case scores above a control, ties 1/2; [R] -> [G].

    NaN where a segment has one class only, no rows, or a NaN score. Hanley and McNeil, Radiology 1982.
    """
    rows = len(segment)
    level, case = plain(score, np.float64, rows), plain(label, np.bool_, rows)
    by_score, start = ordered(level, segment, segments)
    return share(*case_pairs(level, case, by_score, start))


def accuracy(score: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """Share of rows whose event is rightly predicted at probability 0.5 or above; [R] -> [G].

    NaN where a segment has no rows or a NaN score.
    """
    right = np.where(np.isnan(score), np.nan, (score >= THRESHOLD) == label)
    return segment_mean(right, segment, segments)
