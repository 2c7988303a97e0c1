"""Rounds and bytes until a run first reaches a target; a run that never does is censored and not dropped."""

from typing import NamedTuple

import numpy as np

from sim.arrays import Bools, Floats, Ints


class Reach(NamedTuple):
    """First evaluated round of every run that reaches its target; each [N]."""

    reached: Bools
    rounds: Floats  # NaN where never reached
    bytes_spent: Floats  # by all sites up to and in that round; NaN where never reached


def first_reach(
    merit: Floats,
    round_number: Ints,
    bytes_spent: Floats,
    run: Ints,
    target: Floats,
) -> Reach:
    """Rounds and bytes until `merit` (more is better) is at or above the target of its run; [R] each, target [N].

    run int [R]: run of the row, 0 .. N - 1; bytes_spent [R]: cumulative. A later fall below the target changes nothing.
    A NaN merit never reaches a target, and a NaN target is never reached.
    """
    hit = np.flatnonzero(merit >= target[run])
    hit = hit[np.lexsort((round_number[hit], run[hit]))]
    found, first = np.unique(run[hit], return_index=True)
    reached = np.zeros(len(target), dtype=bool)
    rounds, spent = np.full(len(target), np.nan), np.full(len(target), np.nan)
    reached[found] = True
    rounds[found] = round_number[hit[first]]
    spent[found] = bytes_spent[hit[first]]
    return Reach(reached, rounds, spent)
