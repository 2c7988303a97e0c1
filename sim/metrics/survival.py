"""Harrell's C of every segment, in O(n log n) time and O(n) memory."""

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.metrics.order import sorted_rows
from sim.metrics.pairs import exit_pairs, win_share
from sim.metrics.segments import contiguous


def harrell_c(
    risk: Floats,
    time_days: Floats,
    event: Bools,
    segment: Ints,
    segments: int,
) -> Floats:
    """Probability that of two patients the one with the higher risk has the event first; [R] -> [G].

    Harrell et al., JAMA 1982. Tie rule, equal to lifelines.utils.concordance_index(time, -risk, event):
    equal risks count 1/2; a patient who is censored at the time of another's event has outlived it, so the pair counts;
    two events at the same time make no pair. NaN where a segment has no pair, or a NaN risk or time.
    """
    rows = len(segment)
    level, days = contiguous(risk, np.float64, rows), contiguous(time_days, np.float64, rows)
    by_risk, start = sorted_rows(level, segment, segments)
    by_time, _ = sorted_rows(days, segment, segments)
    return win_share(*exit_pairs(level, days, contiguous(event, np.bool_, rows), by_risk, by_time, start))
