"""Levels of intervals about the best of several methods, which the same data have picked."""

from functools import lru_cache

import numpy as np
import scipy

from sim.random import stream
from sim.stats.intervals import FEWEST, LEVEL

DRAWS = 20_000  # of the null; the 5 % quantile has a standard error of 0.15 %


@lru_cache(maxsize=256)
def level_with_best(methods: int, seeds: int) -> float:
    """Level of each paired comparison of the best method with another, so that all of them together hold at LEVEL.

    Which method is best is seen in the same data. The largest t of the best over another, each with its own spread, is
    therefore simulated for equal, independent methods; where some resemble each other more than others, the level is
    kept with room to spare. After Hsu, Annals of Statistics 1984, and Multiple Comparisons, 1996, chapters 4 and 5.
    """
    if methods < 3 or seeds < FEWEST:
        return LEVEL
    draw = stream(0, "comparisons with the best")
    largest = np.empty(DRAWS)
    for part in np.array_split(np.arange(DRAWS), 20):
        values = draw.standard_normal((len(part), seeds, methods))
        best = values.mean(1).argmax(1)
        ahead = np.take_along_axis(values, best[:, None, None], 2) - values  # [part, seeds, methods]; 0 for the best
        error = np.maximum(ahead.std(1, ddof=1), np.finfo(float).tiny) / np.sqrt(seeds)
        largest[part] = (ahead.mean(1) / error).max(1)
    return float(2 * scipy.stats.t.cdf(np.quantile(largest, LEVEL), seeds - 1) - 1)


def level_of_chosen(methods: int) -> float:
    """Level of an interval about the best of several methods, so that it holds at LEVEL whichever was picked."""
    return 1 - (1 - LEVEL) / max(methods, 1)
