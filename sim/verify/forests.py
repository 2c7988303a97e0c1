"""What is proved of the federated survival forest: its trees, how many of each site there are, and what they weigh."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from sim.arrays import Floats
from sim.engine.executors import InProcess, crew
from sim.engine.loops import OwnLoop
from sim.engine.simulation import Evaluation, Round, Simulation
from sim.engine.survivalforest import SurvivalForest
from sim.federation.federation import Federation, from_arrays
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.random import stream
from sim.tasks.cox import Cox, Ties
from sim.verify.check import Check
from sim.verify.trial import gap, narrow

SIZES, HELD, FEATURES = (50, 20, 8), 40, 4
WHOLE: dict[str, Any] = {
    "bootstrap": False,
    "features": FEATURES,
    "min_split": 10,
    "min_leaf": 4,
}  # all trees are alike


def federation(sites: tuple[int, ...] = SIZES) -> Federation:
    """Some sites that train and one that is only evaluated; times in whole months, so that some are tied."""
    draw, rows = stream(0, "forests"), {}
    for at, size in enumerate((*sites, HELD)):
        x = draw.standard_normal((size, FEATURES))
        time = np.ceil(10 * draw.exponential(np.exp(-x @ [1.2, -0.8, 0.3, 0.0])))
        rows[f"site {at}"] = (x, {"time_days": time, "event": (draw.random(size) < 0.8).astype(np.float64)})
    whole = from_arrays(rows)
    bounds = whole.bounds.copy()
    bounds[-1, 1:3] = bounds[-1, 0]
    return replace(whole, bounds=bounds)


def last(method: SurvivalForest, held: Federation) -> Round:
    """What the engine ends with."""
    task = Cox(nn.Linear(FEATURES, 1, bias=False, device="meta"), Ties.efron)
    plan = Simulation(held, task, method.roles(Roles()), Training(batch=0), Evaluation(), 1, 0)
    with crew(InProcess(), plan.job) as opened:
        *_, found = method.rounds(plan, opened)
    return found


def scores(method: SurvivalForest, held: Federation | None = None) -> Floats:
    """Risks of the held-out patients, [HELD]."""
    found = last(method, held or federation()).scores
    assert found is not None
    return found


def statistic(left: Floats, time: Floats, event: Floats) -> float:
    """Log-rank statistic of two groups, from the table of every event time (Mantel 1966)."""
    surplus = variance = 0.0
    for moment in np.unique(time[event > 0]):
        risk, died = time >= moment, (time == moment) & (event > 0)
        n, d, share = risk.sum(), died.sum(), left[risk].mean()
        surplus += left[died].sum() - d * share
        variance += d * share * (1 - share) * (n - d) / (n - 1) if n > 1 else 0.0
    return surplus**2 / variance if variance > 1e-12 else 0.0


def curve(time: Floats, event: Floats) -> list[tuple[float, float]]:
    """Kaplan-Meier: every time of an event with the survival from then on."""
    points, survival = [], 1.0
    for moment in np.unique(time[event > 0]):
        survival *= 1 - ((time == moment) & (event > 0)).sum() / (time >= moment).sum()
        points.append((float(moment), survival))
    return points


class Tree:
    """A survival tree on some rows by its definition, all features looked at; `only`: the features it may split on."""

    def __init__(
        self, x: Floats, time: Floats, event: Floats, *, depth: int = 99, only: tuple[int, ...] = tuple(range(FEATURES))
    ) -> None:
        self.points, self.split = curve(time, event), (0.0, -1, 0.0)
        candidates = []
        if len(x) >= WHOLE["min_split"] and depth > 0:
            for feature in only:
                values = np.unique(x[:, feature])
                for middle in (values[1:] + values[:-1]) / 2:
                    left = x[:, feature] <= middle
                    if min(left.sum(), (~left).sum()) >= WHOLE["min_leaf"]:
                        candidates.append((statistic(left.astype(float), time, event), feature, float(middle)))
        self.split = max(candidates, key=lambda one: one[0], default=self.split)
        if self.leaf:
            return
        left = x[:, self.split[1]] <= self.split[2]
        self.sides = [Tree(x[side], time[side], event[side], depth=depth - 1, only=only) for side in (left, ~left)]

    @property
    def leaf(self) -> bool:
        """Whether no split is allowed or none is informative."""
        return self.split[0] <= 0

    @property
    def leaves(self) -> list["Tree"]:
        """All leaves."""
        return [self] if self.leaf else [one for side in self.sides for one in side.leaves]

    def area(self, row: Floats, until: float) -> float:
        """Area under the survival of one row, a step after another."""
        if not self.leaf:
            return self.sides[int(row[self.split[1]] > self.split[2])].area(row, until)
        total, before, survival = 0.0, 0.0, 1.0
        for moment, after in [*self.points, (until, 0.0)]:
            total, before, survival = total + survival * (moment - before), moment, after
        return total


def own(held: Federation, site: int, **limits: Any) -> Tree:
    """The tree of one site."""
    first, end = held.bounds[site, :2]
    columns = (held.x[first:end], held.y["time_days"][first:end], held.y["event"][first:end])
    x, time, event = (np.asarray(one, dtype=np.float64) for one in columns)
    return Tree(x, time, event, **limits)


def risks(held: Federation, trees: list[Tree]) -> Floats:
    """Minus the areas of every held-out patient under each of some trees, up to the last event of any; [HELD, T]."""
    until = max(moment for tree in trees for leaf in tree.leaves for moment, _ in leaf.points)
    rows = held.x[held.held("test")[0]].astype(np.float64)
    return np.array([[-tree.area(row, until) for tree in trees] for row in rows])


def mixture(found: Floats, parts: Floats) -> tuple[Floats, float]:
    """Weights by which parts [HELD, T] make what was found [HELD], and how far they are from it."""
    weights = np.asarray(np.linalg.lstsq(parts, found, rcond=None)[0])
    return weights, gap(parts @ weights, found)


def of_survivalforest() -> Iterator[Check[OwnLoop]]:
    """The survival forest."""
    single = federation(SIZES[:1])

    def one_tree(entry: type[OwnLoop]) -> float:
        method = narrow(entry, SurvivalForest)(trees=1, drawn=1, **WHOLE)
        return gap(scores(method, single), risks(single, [own(single, 0)])[:, 0])

    yield Check("one tree of one site: log-rank splits and Kaplan-Meier leaves by definition", one_tree, 1e-9)

    def counted(entry: type[OwnLoop]) -> float:
        here, leaves = last(narrow(entry, SurvivalForest)(trees=1, drawn=1, **WHOLE), single), own(single, 0).leaves
        size = 8 * (3 + 4 * (2 * len(leaves) - 1) + 2 * sum(len(leaf.points) for leaf in leaves))
        return gap(np.array([here.bytes_up, here.bytes_down]), np.array([8 + size, 8 + size]))

    yield Check("bytes: two numbers, and the nodes and curves of the tree, up and down", counted, 0.0)

    def shares(entry: type[OwnLoop]) -> float:
        held, drawn = federation(), 300
        found = scores(narrow(entry, SurvivalForest)(trees=300, drawn=drawn, **WHOLE))
        weights, off = mixture(found, risks(held, [own(held, site) for site in range(len(SIZES))]))
        whole = gap(weights * drawn, np.round(weights * drawn))
        return float(max(off, whole, abs(weights.sum() - 1)) / 1e-7 + gap(weights, np.array(SIZES) / sum(SIZES)))

    yield Check(
        "the mean of all sites' trees, as many of each as its share of the patients but for chance", shares, 0.08
    )

    def spare(entry: type[OwnLoop]) -> float:
        held = federation()
        found = scores(narrow(entry, SurvivalForest)(trees=10, drawn=30, **WHOLE))
        weights, off = mixture(found, risks(held, [own(held, site) for site in range(len(SIZES))]))
        return max(off, gap(weights, np.full(len(SIZES), 1 / len(SIZES))))

    yield Check(
        "what a site lacks is drawn from sites that have trees left: a third each where all are taken", spare, 1e-7
    )

    def looked_at(entry: type[OwnLoop]) -> float:
        settings = {**WHOLE, "features": 0, "depth": 1, "trees": 800, "drawn": 800}
        stumps = [own(single, 0, depth=1, only=(feature,)) for feature in range(FEATURES)]
        stumps.sort(key=lambda one: -one.split[0])
        weights, off = mixture(scores(narrow(entry, SurvivalForest)(**settings), single), risks(single, stumps))
        return off / 1e-7 + gap(weights, np.array([3, 2, 1, 0]) / 6)

    yield Check(
        "stumps that see two of four features take the k-th best in (4 - k) of 6, but for chance", looked_at, 0.06
    )
