"""Gradient boosting by sums: sites send histograms of gradients, the server chooses splits, and nothing is averaged.

A tree is an array of decisions [M, 3], level by level from the root: the feature that a node splits on (-1: a leaf),
its threshold (rows with `x <= threshold` go left) and the value of a leaf. Children are in the order of the nodes that
split, so that the k-th of them, from 0, has its children at positions 2k + 1 and 2k + 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.exact.descent import descended
from sim.exact.sums import Message, Rows, State, SumProtocol

GRID = 1024  # cells of equal width by which quantiles are found
TIE = 1e-9  # of the scores: gains that differ by less are equal, whatever order sums were taken in
LEAF = -1.0
GRADIENT, CURVATURE, ROWS = range(3)


class Split(NamedTuple):
    """The best split of a node."""

    feature: int
    bin: int
    left: Floats  # [3] sums of the rows that go left
    right: Floats  # [3]


@dataclass
class Boosting(SumProtocol):
    """Trees for the log loss of a yes-or-no label, grown level by level; the trees of the pooled rows.

    Exchanges: the range of every feature and the sum of the labels; with quantiles, counts of rows on a grid; then one
    for each level of each tree, with the sums of g = p - y, h = p (1 - p) and 1 for each open node, feature and bin.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("low", "high", "edges", "base", "nodes")

    trees: int
    depth: int
    bins: int
    quantiles: bool  # whether bin edges are quantiles, and not of equal width
    learning_rate: float
    l2: float
    min_gain: float
    min_child_weight: float
    min_rows: int

    def statistics(self, rows: Rows, seen: State) -> Message:
        """What the exchange asks for: "edges" and "base" are known after the first, "nodes" after those."""
        x, y = rows["x"], rows["label"]
        if "low" not in seen:
            return {"low": x.min(0), "high": x.max(0), "label": np.array([y.sum(), len(y)])}
        if "edges" not in seen:
            return {"counts": histogram(placed(x, borders(seen["low"], seen["high"], GRID)), GRID)}
        forest, here = grown(seen["nodes"])
        mu = 1 / (1 + np.exp(-margins(x, seen["base"], forest)))
        parts = np.stack([mu - y, mu * (1 - mu), np.ones(len(y))], axis=1)
        cell, place = placed(x, seen["edges"]), reached(x, [here])[:, 0]
        inside = [place == at for at in range(len(here), len(here) + opened(here))]
        return {"sums": np.stack([sums(cell[some], parts[some], self.bins) for some in inside])}

    def total(self, messages: Sequence[Message]) -> Message:
        """Sums over sites, and of ranges the widest."""
        if "low" not in messages[0]:
            return super().total(messages)
        low, high = (np.stack([one[name] for one in messages]) for name in ("low", "high"))
        return {"low": low.min(0), "high": high.max(0), "label": np.sum([one["label"] for one in messages], axis=0)}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """Edges first, then the decisions of a level."""
        if "low" in total:
            had, every = total["label"]
            if had in (0, every):
                raise Refused(
                    f"algorithm=histboost: all {every:.0f} training rows have the same label, so there is nothing to "
                    "split. Use another outcome, or more patients."
                )
            state = {"low": total["low"], "high": total["high"], "base": np.array([np.log(had / (every - had))])}
            if not self.quantiles:
                state["edges"] = borders(state["low"], state["high"], self.bins)
            return state | {"nodes": np.empty((0, 3))}, False
        if "counts" in total:
            grid = borders(state["low"], state["high"], GRID)
            return state | {"edges": quantile_edges(total["counts"], grid, self.bins)}, False
        nodes = np.concatenate([state["nodes"], self.level(total["sums"], state)])
        forest, here = grown(nodes)
        return state | {"nodes": nodes}, len(forest) == self.trees and not len(here)

    def level(self, found: Floats, state: State) -> Floats:
        """Decisions of the open nodes, and of their children where the depth is reached; [A, D, bins, 3] -> [n, 3]."""
        splits = [self.split(one) for one in found]
        made = [
            self.leaf(one[0].sum(0))
            if split is None
            else [split.feature, state["edges"][split.feature, split.bin], 0.0]
            for one, split in zip(found, splits, strict=True)
        ]
        _, here = grown(state["nodes"])
        if levels(here) + 1 == self.depth:
            made += [self.leaf(side) for split in splits if split is not None for side in (split.left, split.right)]
        return np.array(made)

    def leaf(self, part: Floats) -> list[float]:
        """The decision not to split; sums [3]."""
        return [LEAF, 0.0, -self.learning_rate * float(part[GRADIENT] / (part[CURVATURE] + self.l2))]

    def split(self, found: Floats) -> Split | None:
        """The split of most gain, of equal ones the first by feature and then by bin; None if none is allowed.

        gain = 1/2 (GL^2 / (HL + l2) + GR^2 / (HR + l2) - G^2 / (H + l2)); [D, bins, 3].
        """
        left = np.cumsum(found, axis=1)[:, :-1]
        right = found.sum(1)[:, None] - left
        apart = self.score(left) + self.score(right)
        gain = (apart - self.score(found.sum(1))[:, None]) / 2
        allowed = (np.minimum(left, right)[..., ROWS] >= self.min_rows) & (
            np.minimum(left, right)[..., CURVATURE] >= self.min_child_weight
        )
        if not allowed.any():
            return None
        slack = TIE * apart[allowed].max()
        best = gain[allowed].max()
        if best <= self.min_gain + slack:
            return None
        feature, bin_ = divmod(int(np.argmax(allowed & (gain >= best - slack))), gain.shape[1])
        return Split(feature, bin_, left[feature, bin_], right[feature, bin_])

    def score(self, part: Floats) -> Floats:
        """G^2 / (H + l2), 0 without rows; [..., 3] -> [...]."""
        below = part[..., CURVATURE] + self.l2
        return np.divide(part[..., GRADIENT] ** 2, below, out=np.zeros_like(below), where=below > 0)


def borders(low: Floats, high: Floats, bins: int) -> Floats:
    """Edges between so many bins of equal width; [D], [D] -> [D, bins - 1]."""
    return np.asarray(low[:, None] + (high - low)[:, None] * np.arange(1, bins) / bins)


def quantile_edges(counts: Floats, grid: Floats, bins: int) -> Floats:
    """Edges of the grid by which 1/bins, 2/bins, ... of the rows lie, each once; [D, G], [D, G - 1] -> [D, bins - 1].

    What is left over is infinite.
    """
    edges = np.full((len(grid), bins - 1), np.inf)
    for row, one, border in zip(edges, np.cumsum(counts, axis=1), grid, strict=True):
        place = np.searchsorted(one, np.arange(1, bins) / bins * one[-1])
        found = np.unique(border[np.minimum(place, len(border) - 1)])
        row[: len(found)] = found
    return edges


def placed(x: Floats, edges: Floats) -> Ints:
    """Bin of every value: the number of edges below it; [n, D], [D, bins - 1] -> [n, D]."""
    return np.stack([np.searchsorted(edge, part) for part, edge in zip(x.T, edges, strict=True)], axis=1)


def histogram(cell: Ints, bins: int, weight: Floats | None = None) -> Floats:
    """Rows, or the sum of their weights [n], in every bin of every feature; [n, D] -> [D, bins]."""
    width = cell.shape[1]
    flat = (cell + bins * np.arange(width)).ravel()
    each = None if weight is None else np.repeat(weight, width)
    return np.bincount(flat, each, width * bins).reshape(width, bins).astype(np.float64)


def sums(cell: Ints, parts: Floats, bins: int) -> Floats:
    """Sums of some columns in every bin of every feature; [n, D], [n, 3] -> [D, bins, 3]."""
    return np.stack([histogram(cell, bins, part) for part in parts.T], axis=-1)


def opened(tree: Floats) -> int:
    """Nodes of a tree [M, 3] that are not decided yet."""
    return 1 + 2 * int((tree[:, 0] != LEAF).sum()) - len(tree)


def grown(nodes: Floats) -> tuple[list[Floats], Floats]:
    """The finished trees, and the decisions of the one that is being grown; [n, 3] -> each [M, 3]."""
    balance = np.cumsum(np.where(nodes[:, 0] == LEAF, -1, 1))  # -k once k trees are finished, and above it until then
    ends = np.flatnonzero(np.diff(np.minimum.accumulate(np.r_[0, balance]))) + 1
    *done, rest = np.split(nodes, ends)
    return done, rest


def levels(tree: Floats) -> int:
    """Levels of a tree whose decisions are all there; [M, 3]."""
    depth, level = 0, 1
    place = 0
    while place < len(tree):
        level, place = 2 * int((tree[place : place + level, 0] != LEAF).sum()), place + level
        depth += 1
    return depth


def children(tree: Floats) -> Ints:
    """Place of the first child of every node, negative of leaves; [M, 3] -> [M]."""
    splits = tree[:, 0] != LEAF
    return np.where(splits, 2 * np.cumsum(splits) - 1, -1)


def reached(x: Floats, forest: Sequence[Floats]) -> Ints:
    """Node in which every row ends in every tree, a leaf or one not decided yet; [n, D] -> [n, T].

    Nodes count from the first of the first tree, those not decided of the last tree among them.
    """
    whole = [np.concatenate([tree, np.tile([LEAF, 0.0, 0.0], (opened(tree), 1))]) for tree in forest]
    nodes, sizes = np.concatenate(whole), np.array([len(tree) for tree in whole])
    roots = np.cumsum(sizes) - sizes
    child = np.concatenate([children(tree) + root for tree, root in zip(whole, roots, strict=True)])
    return descended(x, nodes[:, 0].astype(np.int64), nodes[:, 1], child, roots)


def margins(x: Floats, base: Floats, forest: Sequence[Floats]) -> Floats:
    """Log-odds of every row: the base and the values of its leaves, in the order of the trees; [n, D] -> [n]."""
    total = np.full(len(x), base[0])
    if forest:
        value = np.concatenate(forest)[:, 2]
        for leaf in reached(x, forest).T:
            total += value[leaf]
    return total
