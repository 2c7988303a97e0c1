"""Sums over segments: a segment is the rows of one site and split, and all segments are computed at once.

A table may hold all sites or a block of them. Segments are numbered from 0 within it, and the value of a segment
depends on its own rows only, so sites scored block by block have the same bits as all of them together.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused


def sizes(segment: Ints, segments: int) -> Ints:
    """Rows of each segment; [R] -> [G]. Refuses a segment outside 0 .. segments - 1."""
    if len(segment) and not 0 <= segment.min() <= segment.max() < segments:
        raise Refused(
            f"segments {segment.min()} to {segment.max()} in a table of {segments}: "
            f"number them from 0 to {segments - 1}, also in a block of sites."
        )
    return np.bincount(segment, minlength=segments).astype(np.int64, copy=False)


def starts(segment: Ints, segments: int) -> Ints:
    """First row of each segment once rows are sorted by segment, and the end of the last one; [R] -> [G + 1]."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes(segment, segments))])


def segment_sum(values: Floats | Bools, segment: Ints, segments: int) -> Floats:
    """Sum of each segment in the order of its rows, 0 where it has none; [R], [R] -> [G]."""
    return np.bincount(segment, weights=values, minlength=segments).astype(np.float64, copy=False)


def segment_mean(values: Floats, segment: Ints, segments: int) -> Floats:
    """Mean of each segment, NaN where it has no rows; [R], [R] -> [G]."""
    count = sizes(segment, segments)
    mean = np.full(segments, np.nan)
    np.divide(segment_sum(values, segment, segments), count, out=mean, where=count > 0)
    return mean


def contiguous(values: NDArray[Any], kind: DTypeLike, rows: int) -> NDArray[Any]:
    """Values [R] as a contiguous, writable array of one type, copied only if needed.

    A compiled loop is compiled for this form alone, and does not check bounds: a column of another length is refused.
    """
    if values.shape != (rows,):
        raise Refused(f"a column of shape {values.shape} in a table of {rows} rows: a metric needs one value per row.")
    return np.require(values, kind, ("C_CONTIGUOUS", "WRITEABLE"))
