"""Harrell's C of every segment, in O(n log^2 n) time and O(n) memory."""

import numpy as np
from numpy.typing import NDArray

from sim.metrics.pairs import all_pairs, share, won_pairs
from sim.metrics.segments import segment_sum

Ints = NDArray[np.int64]


def harrell_c(
    risk: NDArray[np.float64],
    time_days: NDArray[np.float64],
    event: NDArray[np.bool_],
    segment: Ints,
    segments: int,
) -> NDArray[np.float64]:
    """Chance that of two patients the one with the higher risk has the event first; [R] -> [G].

    Harrell et al., JAMA 1982. Tie rule, equal to lifelines.utils.concordance_index(time, -risk, event):
    equal risks count 1/2; a patient censored at the time of another's event outlived it, so the pair counts;
    two events at the same time make no pair. NaN where a segment has no pair or a NaN risk.

    Patients of a segment are numbered in order of exit. Two numbers differ first in exactly one binary digit, so the
    pairs (earlier, later) fall into one Mann-Whitney count per digit and common prefix.
    """
    won, pairs = np.zeros(segments), np.zeros(segments)
    exit_number = exits(time_days, event, segment)
    digits = int(exit_number.max(initial=0)).bit_length()
    highest = np.zeros(segments, dtype=np.int64)
    np.maximum.at(highest, segment, exit_number)
    for digit in range(digits):
        cells = (highest >> (digit + 1)) + 1  # [G] prefixes in use, so that memory follows the rows
        owner = np.repeat(np.arange(segments), cells)
        cell = (np.cumsum(cells) - cells)[segment] + (exit_number >> (digit + 1))
        later = (exit_number >> digit) & 1 == 1
        earlier = event & ~later
        won += segment_sum(won_pairs(risk, earlier, later, cell, len(owner)), owner, segments)
        pairs += segment_sum(all_pairs(earlier, later, cell, len(owner)), owner, segments)
    return share(won, pairs, risk, segment)


def exits(time_days: NDArray[np.float64], event: NDArray[np.bool_], segment: Ints) -> Ints:
    """Order in which the patients of a segment leave, from 0; equal at equal times, events before censoring; [R]."""
    if not len(segment):
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((~event, time_days, segment))
    of, time, last = segment[order], time_days[order], ~event[order]
    fresh = np.r_[True, of[1:] != of[:-1]]
    step = fresh | np.r_[True, (time[1:] != time[:-1]) | (last[1:] != last[:-1])]
    count = np.cumsum(step)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = count - np.maximum.accumulate(np.where(fresh, count, 0))
    return number
