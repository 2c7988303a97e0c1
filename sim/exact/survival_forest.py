"""Survival trees that sites grow on their own rows and send: the forest is what they sent, put side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.arrays import Floats, Ints, Words
from sim.exact.descent import descended
from sim.exact.sums import Message, Rows, State, SumProtocol
from sim.exact.survival_tree import grow
from sim.random import key, scatter, stream


@dataclass
class Growing(SumProtocol):
    """Answer of a site: its requested trees, each once, and how often each was drawn.

    Tree number t of a site depends on the seed, the site's name and t alone, so trees that are not drawn need not be
    grown.
    """

    keys: Words  # [S] random-number key of every site
    wanted: Ints  # [S] trees that are drawn from each
    trees: int  # that every site has
    tries: int  # features that a node looks at; 0 = the square root of their number, rounded up
    min_split: int
    min_leaf: int
    depth: int  # 0 = any
    bootstrap: bool
    seed: int
    site: int = -1

    def at(self, site: int) -> "Growing":
        """The same for one site."""
        return replace(self, site=site)

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Nodes and curves of the trees, one after another; sizes [T, 3]: nodes, points, how often it was drawn."""
        draw = stream(self.seed, "forest", str(self.keys[self.site]))
        number, count = np.unique(draw.integers(0, self.trees, self.wanted[self.site]), return_counts=True)
        grown = [self.tree(rows, int(one)) for one in number]
        sizes = [(len(nodes), len(curves), often) for (nodes, curves), often in zip(grown, count, strict=True)]
        return {
            "sizes": np.array(sizes, dtype=np.float64).reshape(-1, 3),
            "nodes": np.concatenate([np.empty((0, 4)), *(nodes for nodes, _ in grown)]),
            "curves": np.concatenate([np.empty((0, 2)), *(curves for _, curves in grown)]),
        }

    def tree(self, rows: Rows, number: int) -> tuple[Floats, Floats]:
        """One tree of this site: nodes [M, 4] and curves [K, 2], see `grow`."""
        x, time = rows["x"], rows["time_days"]
        own = str(self.keys[self.site])
        some = np.arange(len(x))
        if self.bootstrap:
            some = stream(self.seed, "bootstrap", own, number).integers(0, len(x), len(x))
        some = some[np.argsort(time[some], kind="stable")]
        word = np.uint64(scatter(key(self.seed, "splits", own), np.array([number]))[0])
        tries = self.tries or int(np.ceil(np.sqrt(x.shape[1])))
        return grow(
            x[some], time[some], rows["event"][some] > 0, tries, self.min_split, self.min_leaf, self.depth, word
        )

    def total(self, messages: Sequence[Message]) -> Message:
        """All trees, one site after another."""
        return {name: np.concatenate([one[name] for one in messages]) for name in messages[0]}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The forest; one exchange is all."""
        return total, True


def counts(weights: Floats, drawn: int, trees: int, seed: int) -> Ints:
    """How many trees are drawn from each site, with chances as its weight; [S] -> [S].

    What is more than the `trees` a site has is drawn again from the sites that have some left.
    """
    draw, share = stream(seed, "trees"), weights / weights.sum()
    found = np.bincount(draw.choice(len(weights), drawn, p=share), minlength=len(weights))
    while (excess := int(np.maximum(found - trees, 0).sum())) > 0:
        found = np.minimum(found, trees)
        spare = np.where(found < trees, weights, 0.0)
        found += np.bincount(draw.choice(len(weights), excess, p=spare / spare.sum()), minlength=len(weights))
    return found


def risk(x: Floats, forest: Mapping[str, Floats]) -> Floats:
    """Minus the area under the mean survival of all trees, up to their last event, in days; [n, D] -> [n].

    The mean of step functions has the mean of their areas.
    """
    nodes, times, often = forest["nodes"], forest["curves"][:, 0], forest["sizes"][:, 2]
    size = forest["sizes"][:, 0].astype(np.int64)
    roots = np.cumsum(size) - size
    child = nodes[:, 2].astype(np.int64) + np.repeat(roots, size)
    leaf = descended(x, nodes[:, 0].astype(np.int64), nodes[:, 1], child, roots)
    return np.asarray(-(areas(nodes, forest["curves"], times.max(initial=0.0))[leaf] @ (often / often.sum())))


def areas(nodes: Floats, curves: Floats, horizon: float) -> Floats:
    """Area under the curve of every node up to a horizon that no point is behind; [M, 4], [K, 2] -> [M]."""
    points = nodes[:, 3].astype(np.int64)
    owner = np.repeat(np.arange(len(nodes)), points)
    last = np.cumsum(points)[points > 0] - 1
    until = np.append(curves[1:, 0], horizon)
    until[last] = horizon
    first = np.full(len(nodes), horizon)
    first[points > 0] = curves[last - points[points > 0] + 1, 0]
    return first + np.bincount(owner, curves[:, 1] * (until - curves[:, 0]), len(nodes))
