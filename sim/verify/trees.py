"""What is proved of boosted trees: those grown from sums over sites are those of a booster on the pooled rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from sim.arrays import Floats
from sim.engine.executors import InProcess, crew
from sim.engine.histboost import Edges, HistBoost
from sim.engine.loops import OwnLoop
from sim.engine.simulation import Evaluation, Round, Simulation
from sim.exact.sums import exchanges
from sim.federation.federation import Federation, from_arrays
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.random import stream
from sim.tasks.classify import Classification
from sim.verify.check import Check
from sim.verify.trial import gap, narrow

SIZES, FEATURES, TREES = (60, 25, 40), 4, 3  # rows of every site, a third of them for testing
SETTINGS: dict[str, Any] = {"depth": 3, "bins": 8, "learning_rate": 0.4, "l2": 0.7, "min_child_weight": 0.5}


def federation() -> Federation:
    """Three sites, one feature a flag and one the same everywhere; labels with an interaction."""
    draw, rows = stream(0, "trees"), {}
    for site, size in enumerate(SIZES):
        x = draw.standard_normal((size, FEATURES))
        x[:, 2], x[:, 3] = x[:, 2] > site / 2, 1.5
        chance = 1 / (1 + np.exp(-2 * x[:, 0] * (x[:, 1] > 0) - x[:, 2]))
        rows[f"site {site}"] = (x, {"label": (draw.random(size) < chance).astype(np.float64)})
    whole = from_arrays(rows)
    first, end = whole.bounds[:, 0], whole.bounds[:, 3]
    train = first + 2 * (end - first) // 3
    return replace(whole, bounds=np.stack([first, train, train, end], axis=1))


def plan(method: HistBoost) -> Simulation:
    """The engine's view."""
    task = Classification(nn.Linear(FEATURES, 1, device="meta"))
    return Simulation(federation(), task, method.roles(Roles()), Training(batch=0), Evaluation(), TREES, 0)


def found(method: HistBoost) -> tuple[list[Round], Floats]:
    """Rounds of the engine, and all decisions of its trees; [T], [n, 3]."""
    simulation = plan(method)
    with crew(InProcess(), simulation.job) as opened:
        analysis, members = method.protocol(TREES), simulation.federation.members
        *_, last = exchanges(analysis, lambda seen, _: opened.answers(analysis, seen, members), 99)
        return list(method.rounds(simulation, opened)), last.state["nodes"]


def scores(method: HistBoost) -> list[Floats]:
    """Scores of the held-out rows after every round; [N] each."""
    return [here.scores for here in found(method)[0] if here.scores is not None]


@dataclass
class Pooled:
    """A booster on rows in one place, by its definition: a loop over thresholds, rows and nodes."""

    method: HistBoost
    x: Floats
    y: Floats

    def edges(self, feature: int) -> Floats:
        """Thresholds that may be taken, ascending."""
        one = self.x[:, feature]
        low, width, bins = one.min(), np.ptp(one), self.method.bins
        if self.method.edges is Edges.width:
            return np.asarray(low + width * np.arange(1, bins) / bins)
        cells = low + width * np.arange(1, 1024) / 1024
        below = np.array([(one <= edge).mean() for edge in cells])
        enough = [cells[below >= part / bins] for part in range(1, bins)]
        return np.unique([some[0] if len(some) else cells[-1] for some in enough])

    def candidates(self) -> list[tuple[int, float]]:
        """Every feature with each of its thresholds."""
        return [(feature, float(edge)) for feature in range(self.x.shape[1]) for edge in self.edges(feature)]

    def score(self, g: Floats, h: Floats) -> float:
        """G^2 / (H + l2)."""
        return float(g.sum() ** 2 / (h.sum() + self.method.l2))

    def gain(self, feature: int, edge: float, some: Floats, g: Floats, h: Floats) -> float:
        """What a split of some rows would gain; -inf where it may not be."""
        left, right = (some * side for side in (self.x[:, feature] <= edge, self.x[:, feature] > edge))
        for side in (left, right):
            if side.sum() < self.method.min_rows or (h * side).sum() < self.method.min_child_weight:
                return -np.inf
        apart = self.score(g * left, h * left) + self.score(g * right, h * right)
        return (apart - self.score(g * some, h * some)) / 2

    def tree(self, margin: Floats) -> tuple[list[list[float]], Floats]:
        """Decisions of the next tree, level by level, and what it adds to every row."""
        p = 1 / (1 + np.exp(-margin))
        g, h = p - self.y, p * (1 - p)
        level, decisions, added = [np.ones(len(self.y))], [], np.zeros(len(self.y))
        for depth in range(self.method.depth + 1):
            below = []
            for some in level:
                every = self.candidates() if depth < self.method.depth else []
                gains = np.array([self.gain(f, e, some, g, h) for f, e in every] or [-np.inf])
                best = gains.max()
                if best > self.method.min_gain + 1e-9:
                    f, e = every[int(np.argmax(gains >= best - 1e-9))]
                    decisions.append([float(f), e, 0.0])
                    below += [some * (self.x[:, f] <= e), some * (self.x[:, f] > e)]
                else:
                    value = -self.method.learning_rate * (g * some).sum() / ((h * some).sum() + self.method.l2)
                    decisions.append([-1.0, 0.0, value])
                    added += value * some
            level = below
        return decisions, added

    def forest(self) -> Floats:
        """Decisions of all trees; [n, 3]."""
        margin = np.full(len(self.y), np.log(self.y.mean() / (1 - self.y.mean())))
        every: list[list[float]] = []
        for _ in range(TREES):
            decisions, added = self.tree(margin)
            margin, every = margin + added, every + decisions
        return np.array(every)


def predicted(forest: Floats, row: Floats, base: float) -> float:
    """Probability of one row, a node after another."""
    margin, begin = base, 0
    while begin < len(forest):
        splits, size = 0, 0
        while size < 2 * splits + 1:
            splits, size = splits + (forest[begin + size, 0] >= 0), size + 1
        place = 0
        while forest[begin + place, 0] >= 0:
            feature, threshold, _ = forest[begin + place]
            before = int((forest[begin : begin + place, 0] >= 0).sum())
            place = 2 * before + 1 + int(row[int(feature)] > threshold)
        margin, begin = margin + forest[begin + place, 2], begin + size
    return float(1 / (1 + np.exp(-margin)))


def of_histboost() -> Iterator[Check[OwnLoop]]:
    """Histogram gradient boosting."""
    rows = federation()
    train = rows.held("train")[0]
    x, y = rows.x[train].astype(np.float64), rows.y["label"][train].astype(np.float64)
    base = float(np.log(y.mean() / (1 - y.mean())))
    for edges in Edges:

        def forest(entry: type[OwnLoop], edges: Edges = edges) -> float:
            method = narrow(entry, HistBoost)(edges=edges, **SETTINGS)
            expected, (_, nodes) = Pooled(method, x, y).forest(), found(method)
            return gap(nodes, expected) if nodes.shape == expected.shape else np.inf

        yield Check(f"splits, thresholds and leaves are those on the pooled rows, edges {edges.value}", forest, 1e-12)

    def held_out(entry: type[OwnLoop]) -> float:
        method = narrow(entry, HistBoost)(**SETTINGS)
        expected = Pooled(method, x, y).forest()
        test = rows.x[rows.held("test")[0]]
        return gap(scores(method)[-1], np.array([predicted(expected, row, base) for row in test]))

    yield Check("held-out patients have the probabilities of the pooled booster", held_out, 1e-12)

    def counted(entry: type[OwnLoop]) -> float:
        rounds, nodes = found(narrow(entry, HistBoost)(**SETTINGS))
        sites, bins = len(SIZES), SETTINGS["bins"]
        asked = int((depths(nodes) < SETTINGS["depth"]).sum())
        first = [2 * FEATURES + 2 + FEATURES * 1024, 2 * FEATURES + 1 + FEATURES * (bins - 1)]
        up, down = first[0] + asked * FEATURES * bins * 3, first[1] + nodes.size
        sent = np.array([[here.bytes_up, here.bytes_down] for here in rounds], dtype=np.float64).sum(0)
        return gap(sent, 8.0 * sites * np.array([up, down]))

    yield Check("bytes: ranges, counts, histograms of open nodes up; edges and decisions down, once", counted, 0.0)


def depths(nodes: Floats) -> Floats:
    """Level of every node of all trees, from 0; [n, 3] -> [n]."""
    found: list[int] = []
    waiting: list[int] = []  # levels of the nodes that come next
    for feature in nodes[:, 0]:
        now, *waiting = waiting or [0]
        waiting += [now + 1] * (2 * int(feature >= 0))
        found.append(now)
    return np.array(found, dtype=np.float64)
