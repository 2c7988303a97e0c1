"""One survival tree, compiled: log-rank splits of the rows of one site, and a Kaplan-Meier curve in every leaf."""

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.jit import exact
from sim.splitmix import mixed

TIE = 1e-9  # statistics that differ by less, relatively, are equal: the first that was looked at is taken


@exact
def log_rank(left: Bools, time: Floats, event: Bools) -> float:
    """Two-sample log-rank statistic `U^2 / V` of rows in ascending order of time; 0 where no variance is left; [m]."""
    surplus = variance = 0.0
    on_left = deaths = deaths_left = 0
    for row in range(len(time) - 1, -1, -1):
        at_risk = len(time) - row
        on_left += left[row]
        deaths += event[row]
        deaths_left += event[row] and left[row]
        if row == 0 or time[row - 1] != time[row]:
            share = on_left / at_risk
            surplus += deaths_left - deaths * share
            if at_risk > 1:
                variance += deaths * share * (1 - share) * (at_risk - deaths) / (at_risk - 1)
            deaths = deaths_left = 0
    return surplus * surplus / variance if variance > 0 else 0.0


@exact
def best_threshold(value: Floats, time: Floats, event: Bools, min_leaf: int) -> tuple[float, float]:
    """Largest log-rank statistic of a split of rows in ascending order of time, and its threshold; [m] each.

    Thresholds lie midway between neighbouring values, with at least `min_leaf` rows on either side; statistic 0 where
    none is allowed.
    """
    ordered = np.sort(value)
    best, threshold = 0.0, 0.0
    for place in range(min_leaf - 1, len(value) - min_leaf):
        if ordered[place] < ordered[place + 1]:
            middle = (ordered[place] + ordered[place + 1]) / 2
            found = log_rank(value <= middle, time, event)
            if found > best * (1 + TIE):
                best, threshold = found, middle
    return best, threshold


@exact
def drawn_order(size: int, word: np.uint64, node: int) -> Ints:
    """Features in the order in which a node looks at them, all orders equally likely; [D]."""
    draws = np.empty(size, dtype=np.uint64)
    for feature in range(size):
        draws[feature] = mixed(mixed(word ^ np.uint64(node + 1)) ^ np.uint64(feature + 1))
    return np.argsort(draws)


@exact
def grow(
    x: Floats, time: Floats, event: Bools, tries: int, min_split: int, min_leaf: int, depth: int, word: np.uint64
) -> tuple[Floats, Floats]:
    """Nodes [M, 4] and curves [K, 2] of one tree on rows in ascending order of time; x [n, D], time [n], event [n].

    A node: its feature (-1: a leaf), its threshold, the place of its first child, and the points of its curve. The
    curves of the leaves stand one after another: times of events, and the Kaplan-Meier survival from then on. A node
    looks at `tries` features, and at others after them until some split is allowed. depth: most levels of splits, 0 =
    any. word: of the random numbers.
    """
    rows, width = x.shape
    nodes, curves = np.zeros((2 * rows, 4)), np.empty((rows, 2))
    begin, end, level = np.zeros((3, 2 * rows), dtype=np.int64)
    held = np.arange(rows)  # rows node by node, ascending in each
    end[0], made, points, at = rows, 1, 0, 0
    while at < made:
        mine = held[begin[at] : end[at]].copy()
        days, died = time[mine], event[mine]
        best, feature, threshold = 0.0, -1, 0.0
        if len(mine) >= min_split and (depth == 0 or level[at] < depth):
            for looked, candidate in enumerate(drawn_order(width, word, at)):
                if looked >= tries and feature >= 0:
                    break
                found, middle = best_threshold(x[mine, candidate], days, died, min_leaf)
                if found > best * (1 + TIE):
                    best, feature, threshold = found, candidate, middle
        nodes[at, 0], nodes[at, 1] = feature, threshold
        if feature >= 0:
            left = x[mine, feature] <= threshold
            cut = begin[at] + left.sum()
            held[begin[at] : cut], held[cut : end[at]] = mine[left], mine[~left]
            begin[made], end[made], begin[made + 1], end[made + 1] = begin[at], cut, cut, end[at]
            level[made] = level[made + 1] = level[at] + 1
            nodes[at, 2] = made
            made += 2
        else:
            survival, first, row = 1.0, points, 0
            while row < len(mine):
                after = row
                while after < len(mine) and days[after] == days[row]:
                    after += 1
                deaths = died[row:after].sum()
                if deaths:
                    survival *= 1 - deaths / (len(mine) - row)
                    curves[points, 0], curves[points, 1] = days[row], survival
                    points += 1
                row = after
            nodes[at, 3] = points - first
        at += 1
    return nodes[:made].copy(), curves[:points].copy()
