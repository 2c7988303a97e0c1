"""Pairs of patients that a score orders correctly, counted in integers: one compiled call for all segments.

Wins are counted in halves, so that a tie is an integer too. A segment of n rows has fewer than `n^2 / 2` pairs, twice
that in halves: int64 holds them for every n that `sorted_rows` takes (2^31 - 1).
"""

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints
from sim.jit import exact

Rows = NDArray[np.int32]  # row numbers in an order, segment by segment


@exact
def case_pairs(score: Floats, case: Bools, by_score: Rows, start: Ints) -> tuple[Ints, Ints]:
    """Half-wins of the cases, and number of pairs (case, control); [R], [R], [R], [G + 1] -> [G], [G].

    No pairs where a score is NaN. Mann and Whitney, Annals of Mathematical Statistics 1947.
    """
    segments = len(start) - 1
    won, pairs = np.zeros(segments, dtype=np.int64), np.zeros(segments, dtype=np.int64)
    for segment in range(segments):
        at, end = start[segment], start[segment + 1]
        cases, controls = 0, 0  # with lower scores than the current run of equal ones
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
    """Half-wins of the earlier exits, and number of pairs (event, later exit); five times [R], [G + 1] -> [G], [G].

    No pairs where a risk or a time is NaN. Patients are added from the last exit to the first to a tree that counts in
    O(log n) how many of them have a lower risk: Fenwick, Software: Practice and Experience 1994.
    """
    segments = len(start) - 1
    won, pairs = np.zeros(segments, dtype=np.int64), np.zeros(segments, dtype=np.int64)
    level = np.empty(len(risk), dtype=np.int32)  # rank of a risk within its segment, from 1; equal risks share it
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
        while end > low:  # one time, at which events come before censorings
            begin = end - 1
            while begin > low and time_days[by_time[begin - 1]] == time_days[by_time[end - 1]]:
                begin -= 1
            for row in by_time[begin:end]:
                if not event[row]:
                    add_patient(level[row], tree, equal)
                    later += 1
            for row in by_time[begin:end]:
                if event[row]:
                    won[segment] += 2 * count_below(level[row], tree) + equal[level[row]]
                    pairs[segment] += later
            for row in by_time[begin:end]:
                if event[row]:
                    add_patient(level[row], tree, equal)
            later = high - begin
            end = begin
    return won, pairs


@exact
def add_patient(level: int, tree: Rows, equal: Rows) -> None:
    """Add one patient at a level to the Fenwick tree and to the counts of equal ones; [L + 1] each, in place."""
    equal[level] += 1
    while level < len(tree):
        tree[level] += 1
        level += level & -level


@exact
def count_below(level: int, tree: Rows) -> int:
    """Number of patients in the tree [L + 1] at lower levels."""
    count, level = 0, level - 1
    while level > 0:
        count += tree[level]
        level -= level & -level
    return count


def win_share(won: Ints, pairs: Ints) -> Floats:
    """Share of pairs that are won, from half-wins; NaN where there is no pair; [G], [G] -> [G]."""
    value: Floats = np.divide(won / 2, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return value
