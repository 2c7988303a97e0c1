"""Calibration of predicted probabilities: Brier score and calibration in the large of every segment."""

from sim.arrays import Bools, Floats, Ints
from sim.metrics.segments import segment_mean


def brier(score: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """Mean squared distance of probability and outcome, in [0, 1]; [R] -> [G]. NaN where a segment has no rows.

    Brier, Monthly Weather Review 1950, in the one-sided form used for binary outcomes.
    """
    return segment_mean((score - label) ** 2, segment, segments)


def citl(score: Floats, label: Bools, segment: Ints, segments: int) -> Floats:
    """Calibration in the large: observed event rate less mean prediction, in [-1, 1]; [R] -> [G].

    Positive = risk is underestimated. NaN where a segment has no rows.
    """
    return segment_mean(label - score, segment, segments)
