"""Sums over segments: one segment is the rows of one site and split, and all segments are done at once."""

import numpy as np
from numpy.typing import NDArray


def segment_sum(
    values: NDArray[np.float64] | NDArray[np.bool_], segment: NDArray[np.int64], segments: int
) -> NDArray[np.float64]:
    """Sum of each segment, 0 where it has no rows; [R], [R] -> [G]."""
    return np.bincount(segment, weights=values, minlength=segments).astype(np.float64)


def segment_mean(values: NDArray[np.float64], segment: NDArray[np.int64], segments: int) -> NDArray[np.float64]:
    """Mean of each segment, NaN where it has no rows; [R], [R] -> [G]."""
    count = np.bincount(segment, minlength=segments)
    mean = np.full(segments, np.nan)
    np.divide(segment_sum(values, segment, segments), count, out=mean, where=count > 0)
    return mean
