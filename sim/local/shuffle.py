"""The order of a site's rows in training: a Fisher-Yates shuffle with keyed draws."""

import numpy as np
from numpy.typing import NDArray

from sim.jit import exact
from sim.random import GOLDEN
from sim.splitmix import mixed

HALF = np.uint64(32)


@exact
def of_epoch(word: np.uint64, epoch: int) -> np.uint64:
    """Word of an epoch of a site."""
    return mixed((word ^ np.uint64(epoch)) + GOLDEN)


@exact
def each(word: NDArray[np.uint64], epoch: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Word of an epoch of each site, [C], [C] -> [C]: `scatter` by the epoch, one step further."""
    result = np.empty_like(word)
    for site in range(len(word)):
        result[site] = of_epoch(word[site], epoch[site])
    return result


@exact
def shuffle(order: NDArray[np.int64], start: int, word: np.uint64) -> None:
    """Fill `order` [n] with the row numbers start .. start + n - 1 in the random order given by `word`.

    Draw i is word number i of the SplitMix64 sequence from `word`; its upper half times i + 1 is unbiased to 2^-32.
    Durstenfeld, Communications of the ACM 1964.
    """
    for i in range(len(order)):
        order[i] = start + i
    for i in range(len(order) - 1, 0, -1):
        draw = mixed(word + np.uint64(i + 1) * GOLDEN) >> HALF
        j = np.int64((draw * np.uint64(i + 1)) >> HALF)
        order[i], order[j] = order[j], order[i]


@exact
def shuffle_sites(
    order: NDArray[np.int64],
    first: NDArray[np.int64],
    rows: NDArray[np.int64],
    start: NDArray[np.int64],
    word: NDArray[np.uint64],
) -> None:
    """`shuffle` for several sites, each into order[first : first + rows]; all but `order` [C]."""
    for site in range(len(first)):
        shuffle(order[first[site] : first[site] + rows[site]], start[site], word[site])
