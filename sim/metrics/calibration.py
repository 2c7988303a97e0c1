"""Whether predicted probabilities are true on average: Brier score and calibration in the large of every segment."""

import numpy as np
from numpy.typing import NDArray

from sim.metrics.segments import segment_mean


def brier(
    score: NDArray[np.float64], label: NDArray[np.bool_], segment: NDArray[np.int64], segments: int
) -> NDArray[np.float64]:
    """Mean squared distance of probability and outcome, in [0, 1]; [R] -> [G]. NaN where a segment has no rows.

    Brier, Monthly Weather Review 1950, in the one-sided form used for binary outcomes.
    """
    return segment_mean((score - label) ** 2, segment, segments)


def citl(
    score: NDArray[np.float64], label: NDArray[np.bool_], segment: NDArray[np.int64], segments: int
) -> NDArray[np.float64]:
    """Calibration in the large: observed event rate less mean prediction, in [-1, 1]; [R] -> [G].

    Positive = risk is underestimated. NaN where a segment has no rows.
    """
    return segment_mean(label - score, segment, segments)
