"""Krum again and again among those that remain, without scoring all of them anew each time."""

import numpy as np
from numpy.typing import NDArray

from sim.methods.aggregators.krum import ranked, scores

FEW = 64  # uploads of which scores are simply taken anew


def selected(distance: NDArray[np.float64], f: int, count: int) -> NDArray[np.int64]:
    """Krum's choice, `count` times, among the uploads that remain; squared distances [M, M] -> ascending [count].

    While many remain, a score loses one term when an upload is taken away: the upload's own, if it was among the
    nearest, and else the largest.
    """
    left = np.arange(len(distance))
    if len(left) > FEW and count:
        left = np.setdiff1d(left, many(distance, f, min(count, len(left) - max(FEW, f + 3))))
    for _ in range(count - (len(distance) - len(left))):
        among = distance[np.ix_(left, left)]
        left = np.delete(left, ranked(scores(among, f), among)[0])
    return np.setdiff1d(np.arange(len(distance)), left)


def many(distance: NDArray[np.float64], f: int, count: int) -> NDArray[np.int64]:
    """The first `count` choices, more than f + 2 uploads being left after the last; [count]."""
    others = distance.copy()
    np.fill_diagonal(others, np.inf)
    every = np.arange(len(others))
    order = others.argsort(axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, every[None].repeat(len(others), 0), axis=1)
    last = np.full(len(others), len(others) - f - 3)  # place, in each row's order, of the farthest that is counted
    score, alive, chosen = scores(distance, f), np.ones(len(others), dtype=bool), []
    for _ in range(count):
        least = score[alive].min()
        ties = np.flatnonzero(alive & (score == least))
        taken = ties[np.argmin(distance[np.ix_(ties, alive)].sum(1))] if len(ties) > 1 else ties[0]
        chosen.append(taken)
        alive[taken] = False
        near = rank[:, taken] <= last
        farthest = order[every, last]
        score = score - others[every, np.where(near, taken, farthest)]
        down = ~near | (farthest == taken)  # the place moves to the next one below that is still there
        last = np.where(down, last - 1, last)
        while (gone := (~alive[order[every, last]]) & (last > 0)).any():
            last = np.where(gone, last - 1, last)
    return np.array(chosen, dtype=np.int64)
