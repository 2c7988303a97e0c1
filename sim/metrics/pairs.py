"""Pairs of patients that a score orders rightly, counted in whole numbers: one compiled call for all segments.

Wins are counted in halves, so that a tie is a whole number too. A segment of n rows has fewer than n^2 / 2 pairs, and
twice that in halves: int64 holds them for any n that `order` takes (2^31 - 1).
"""

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints
from sim.jit import exact

Rows = NDArray[np.int32]  # row numbers in an order, segment by segment


@exact
def case_pairs(score: Floats, case: Bools, by_score: Rows, start: Ints) -> tuple[Ints, Ints]:
    """Half-wins of the cases and pairs (case, control); [R], [R], [R], [G + 1] -> [G], [G].

    No pairs where a score is NaN. Mann and Whitney, Annals of Mathematical Statistics 1947.
    """
    segments = len(start) - 1
    won, pairs = np.zeros(segments, dtype=np.int64), np.zeros(segments, dtype=np.int64)
    for segment in range(segments):
        at, end = start[segment], start[segment + 1]
        cases, controls = 0, 0  # below the run of equal scores
        while at < end:
            level, tied_cases, tied_controls = score[by_score[at]], 0, 0
            if np.isnan(level):
                cases = 0
                break
            while at < end and score[by_score[at]] == level:
                if case[by_score[at]]:
                    tied_cases += 1
                else:
                    tied_controls += 1
                at += 1
            won[segment] += tied_cases * (2 * controls + tied_controls)
            cases += tied_cases
            controls += tied_controls
        pairs[segment] = cases * controls
    return won, pairs


@exact
def exit_pairs(
    risk: Floats, time_days: Floats, event: Bools, by_risk: Rows, by_time: Rows, start: Ints
) -> tuple[Ints, Ints]:
    """Half-wins of the earlier and pairs (event, later exit); five times [R], [G + 1] -> [G], [G].

    No pairs where a risk or a time is NaN. Patients are entered from the last exit to the first, in a tree that tells
    in O(log n) how many of them are below a risk: Fenwick, Software: Practice and Experience 1994.
    """
    segments = len(start) - 1
    won, pairs = np.zeros(segments, dtype=np.int64), np.zeros(segments, dtype=np.int64)
    level = np.empty(len(risk), dtype=np.int32)  # of a risk within its segment, from 1
    for segment in range(segments):
        low, high = start[segment], start[segment + 1]
        levels, known = 0, True
        for at in range(low, high):
            row = by_risk[at]
            known = known and not (np.isnan(risk[row]) or np.isnan(time_days[row]))
            if at == low or risk[row] != risk[by_risk[at - 1]]:
                levels += 1
            level[row] = levels
        tree, equal = np.zeros(levels + 1, dtype=np.int32), np.zeros(levels + 1, dtype=np.int32)
        end = high if known else low
        later = 0
        while end > low:  # one time, at which those with the event leave before those who are censored
            begin = end - 1
            while begin > low and time_days[by_time[begin - 1]] == time_days[by_time[end - 1]]:
                begin -= 1
            for row in by_time[begin:end]:
                if not event[row]:
                    enter(level[row], tree, equal)
                    later += 1
            for row in by_time[begin:end]:
                if event[row]:
                    won[segment] += 2 * below(level[row], tree) + equal[level[row]]
                    pairs[segment] += later
            for row in by_time[begin:end]:
                if event[row]:
                    enter(level[row], tree, equal)
            later = high - begin
            end = begin
    return won, pairs


@exact
def enter(level: int, tree: Rows, equal: Rows) -> None:
    """Count one more patient at a level."""
    equal[level] += 1
    while level < len(tree):
        tree[level] += 1
        level += level & -level


@exact
def below(level: int, tree: Rows) -> int:
    """Patients at lower levels."""
    count, level = 0, level - 1
    while level > 0:
        count += tree[level]
        level -= level & -level
    return count


def share(won: Ints, pairs: Ints) -> Floats:
    """Pairs won of all, NaN where there is none; [G], [G] -> [G]."""
    value: Floats = np.divide(won / 2, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return value
