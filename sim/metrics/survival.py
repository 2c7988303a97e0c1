"""Harrell's C of every segment, in O(n log n) time and O(n) memory."""

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.metrics.order import ordered
from sim.metrics.pairs import exit_pairs, share
from sim.metrics.segments import plain


def harrell_c(
    risk: Floats,
    time_days: Floats,
    event: Bools,
    segment: Ints,
    segments: int,
) -> Floats:
    """Chance that of two patients the one with the higher risk has the event first; [R] -> [G].

    Harrell et al., JAMA 1982. Tie rule, equal to lifelines.utils.concordance_index(time, -risk, event):
    equal risks count 1/2; a patient censored at the time of another's event outlived it, so the pair counts;
    two events at the same time make no pair. NaN where a segment has no pair, or a NaN risk or time.
    """
    rows = len(segment)
    level, days = plain(risk, np.float64, rows), plain(time_days, np.float64, rows)
    by_risk, start = ordered(level, segment, segments)
    by_time, _ = ordered(days, segment, segments)
    return share(*exit_pairs(level, days, plain(event, np.bool_, rows), by_risk, by_time, start))
