"""Sums over segments: one segment is the rows of one site and split, and all segments are done at once."""

import numpy as np
from numpy.typing import NDArray


def segment_mean(values: NDArray[np.float64], segment: NDArray[np.int64], segments: int) -> NDArray[np.float64]:
    """Mean of each segment, NaN where it has no rows; [R], [R] -> [G]."""
    count = np.bincount(segment, minlength=segments)
    total = np.bincount(segment, weights=values, minlength=segments)
    return np.divide(total, count, out=np.full(segments, np.nan), where=count > 0)
