"""Rows in order of segment and value: a radix sort over all segments at once, in linear time and memory.

Rows are sorted by the digits of the values from the lowest up, eight bits at a time, and last by segment, so ten
thousand small segments cost as much as a single large one. Digits that all values share are skipped: probabilities
that were float32 and days that are whole numbers have many of these. Knuth, The Art of Computer Programming 3, 5.2.5.
"""

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints, Words
from sim.checks import Refused
from sim.jit import exact
from sim.metrics.segments import contiguous, starts

DIGITS, BINS = 8, 256  # digits of a float64, and the values of a digit
ROWS = 2**31 - 1  # row numbers are int32


def sorted_rows(values: Floats, segment: Ints, segments: int) -> tuple[NDArray[np.int32], Ints]:
    """Row numbers by segment, then value, then row, and where each segment starts; [R], [R] -> [R], [G + 1].

    -0.0 equals 0.0, infinities are values, NaN come first or last. Refuses a segment outside 0 .. segments - 1.
    """
    rows = len(segment)
    if rows > ROWS:
        raise Refused(f"{rows} rows to score at once: allowed {ROWS}; score them in blocks of whole sites.")
    start = starts(segment, segments)
    key = sort_keys(contiguous(values, np.float64, rows))
    return radix_sorted(key, contiguous(segment, np.int64, rows), start.copy()), start


def sort_keys(values: Floats) -> Words:
    """Integers in the order of the values, equal where those are; [R] -> [R]. A float's bits are sign and magnitude."""
    bits = (values + 0.0).view(np.int64)  # -0.0 + 0.0 = 0.0
    return (bits ^ ((bits >> 63) | np.int64(-(2**63)))).view(np.uint64)


@exact
def radix_sorted(key: Words, segment: Ints, place: Ints) -> NDArray[np.int32]:
    """Row numbers by segment, then key, then row; [R], [R], [G + 1] -> [R]. Overwrites `key` and `place`."""
    rows = len(key)
    count = np.zeros((DIGITS, BINS), dtype=np.int64)
    for row in range(rows):
        for digit in range(DIGITS):
            count[digit, (key[row] >> np.uint64(8 * digit)) & np.uint64(255)] += 1
    row_of, key_next, row_next = np.arange(rows).astype(np.int32), np.empty_like(key), np.empty(rows, dtype=np.int32)
    for digit in range(DIGITS):
        if count[digit].max() == rows:
            continue
        spot = np.cumsum(count[digit]) - count[digit]
        for i in range(rows):
            to = (key[i] >> np.uint64(8 * digit)) & np.uint64(255)
            key_next[spot[to]] = key[i]
            row_next[spot[to]] = row_of[i]
            spot[to] += 1
        key, key_next = key_next, key
        row_of, row_next = row_next, row_of
    for i in range(rows):
        own = segment[row_of[i]]
        row_next[place[own]] = row_of[i]
        place[own] += 1
    return row_next
