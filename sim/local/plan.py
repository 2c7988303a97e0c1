"""The rows of each local step: batches of C sites, drawn by key, without state between rounds."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.local.settings import Training
from sim.local.shuffle import each, shuffle_sites
from sim.random import key, scatter

LADDER = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128])


class Sites(NamedTuple):
    """C sites of a chunk, most steps first."""

    start: NDArray[np.int64]  # [C] first training row
    rows: NDArray[np.int64]  # [C] training rows
    steps: NDArray[np.int64]  # [C]
    keys: NDArray[np.uint64]  # [C]

    def only(self, some: NDArray[np.int64]) -> "Sites":
        """Some of these sites."""
        return Sites(self.start[some], self.rows[some], self.steps[some], self.keys[some])


class Step(NamedTuple):
    """One local step of the sites that still train: a prefix of the chunk."""

    active: int  # sites whose model moves
    row: NDArray[np.int64]  # [stacked, B] row numbers; padding repeats a row of the same site
    valid: NDArray[np.bool_]  # [stacked, B]; stacked >= active


def rung(wanted: int, limit: int) -> int:
    """Padded size: the next one in a series, so that few shapes occur and at most half of the work is wasted."""
    above = LADDER[wanted <= LADDER]
    return min(int(above[0]) if len(above) else -(-wanted // 64) * 64, limit)


def words(sites: Sites, seed: int, round: int) -> NDArray[np.uint64]:
    """The word of every site from which those of its epochs are made, [C]; see `sim.local.shuffle`."""
    return scatter(key(seed, "batches", round), sites.keys)


def steps(
    sites: Sites, training: Training, seed: int, round: int, begin: NDArray[np.int64] | None = None
) -> Iterator[Step]:
    """The local steps of a round, in order, without the first `begin` of each site [C], which an earlier phase took."""
    begin = np.zeros_like(sites.steps) if begin is None else begin
    most = int(sites.rows.max())
    width = min(training.batch or most, most)
    batches = training.batches(sites.rows)
    first = np.cumsum(sites.rows) - sites.rows
    order = np.empty(int(sites.rows.sum()), dtype=np.int64)
    shuffled = np.full(len(sites.rows), -1)
    word = words(sites, seed, round)
    for step in range(int(sites.steps.max())):
        active = int(np.searchsorted(-sites.steps, -step, side="left"))
        count = rung(active, len(sites.rows))
        # Finished sites repeat their last batch, to no effect.
        now = np.maximum(begin[:count] + np.minimum(step, sites.steps[:count] - 1), 0)
        epoch, batch = now // batches[:count], now % batches[:count]
        stale = np.flatnonzero(epoch != shuffled[:count])
        if len(stale):
            shuffle_sites(order, first[stale], sites.rows[stale], sites.start[stale], each(word[stale], epoch[stale]))
            shuffled[stale] = epoch[stale]
        left = np.minimum(sites.rows[:count] - batch * width, width)
        column = np.arange(rung(int(left.max()), width))
        place = first[:count, None] + batch[:, None] * width + np.minimum(column, left[:, None] - 1)
        yield Step(active, order[place], column < left[:, None])
