"""Errors of predicted numbers: root mean square, mean absolute, and the share of variance or deviance explained."""

import numpy as np
import scipy

from sim.arrays import Floats, Ints
from sim.metrics.segments import segment_mean


def rmse(score: Floats, value: Floats, segment: Ints, segments: int) -> Floats:
    """Root mean squared error, in the unit of the outcome; [R] -> [G]. NaN where a segment has no rows."""
    return np.asarray(np.sqrt(segment_mean((score - value) ** 2, segment, segments)))


def mae(score: Floats, value: Floats, segment: Ints, segments: int) -> Floats:
    """Mean absolute error, in the unit of the outcome; [R] -> [G]. NaN where a segment has no rows."""
    return segment_mean(np.abs(score - value), segment, segments)


def r2(score: Floats, value: Floats, segment: Ints, segments: int) -> Floats:
    """Share of the variance within each segment that is explained, at most 1; [R] -> [G].

    Below 0 where the segment's own mean would have done better; NaN where all its outcomes are the same.
    """
    centre = segment_mean(value, segment, segments)[segment]
    return explained((score - value) ** 2, (centre - value) ** 2, segment, segments)


def d2(score: Floats, value: Floats, segment: Ints, segments: int) -> Floats:
    """Share of the Poisson deviance within each segment that is explained, as `r2`; [R] -> [G].

    Cameron and Windmeijer, Journal of Business and Economic Statistics 1996.
    """
    centre = segment_mean(value, segment, segments)[segment]
    return explained(deviance(score, value), deviance(centre, value), segment, segments)


def deviance(mean: Floats, value: Floats) -> Floats:
    """Poisson deviance of every count, `2 (y log(y / mean) - y + mean)`; [R]."""
    floor = np.maximum(mean, np.finfo(float).tiny)
    return np.asarray(2 * (scipy.special.xlogy(value, value / floor) - value + mean))


def explained(left: Floats, whole: Floats, segment: Ints, segments: int) -> Floats:
    """1 less the mean of what is left over that of the whole, NaN where the whole is 0; [R], [R] -> [G]."""
    total = segment_mean(whole, segment, segments)
    share = np.full(segments, np.nan)
    np.divide(segment_mean(left, segment, segments), total, out=share, where=total > 0)
    return 1 - share
