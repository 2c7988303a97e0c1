"""Pairs that a score orders rightly: the Mann-Whitney count, for all segments at once."""

import numpy as np
from numpy.typing import NDArray

from sim.metrics.segments import segment_sum

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def won_pairs(score: Floats, case: Bools, control: Bools, cell: Ints, cells: int) -> Floats:
    """Pairs (case, control) of one cell in which the case scores higher, a tie counting 1/2; [R] -> [G].

    A row may be a case, a control or neither. Sums of halves are exact in float64 below 2^53 pairs.
    Mann and Whitney, Annals of Mathematical Statistics 1947.
    """
    if not len(score):
        return np.zeros(cells)
    order = np.lexsort((score, cell))
    ranked, level = cell[order], score[order]
    opens = np.r_[True, (ranked[1:] != ranked[:-1]) | (level[1:] != level[:-1])]
    tie = np.cumsum(opens) - 1  # [R] number of the run of equal scores that a row belongs to
    tied = segment_sum(control[order], tie, int(tie[-1]) + 1)
    beaten = (np.cumsum(tied) - tied / 2)[tie]  # controls in earlier runs, those of earlier cells too
    held = segment_sum(control, cell, cells)
    elsewhere = np.cumsum(held) - held
    return segment_sum(case[order] * beaten, ranked, cells) - segment_sum(case, cell, cells) * elsewhere


def all_pairs(case: Bools, control: Bools, cell: Ints, cells: int) -> Floats:
    """Pairs (case, control) of one cell, whatever their scores; [R] -> [G]."""
    return segment_sum(case, cell, cells) * segment_sum(control, cell, cells)


def share(won: Floats, pairs: Floats, score: Floats, segment: Ints) -> Floats:
    """won / pairs, NaN where a segment has no pair or holds a NaN score; [G], [G], [R], [R] -> [G]."""
    value: Floats = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    value[segment[np.isnan(score)]] = np.nan
    return value
