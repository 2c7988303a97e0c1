"""Federated gradient boosting: trees grown from sums over sites, instead of a parameter vector."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused, within
from sim.engine.evaluation import Held, Rated, measure
from sim.engine.executors import Crew
from sim.engine.scoring import judged
from sim.engine.simulation import SCORED, Round, Simulation
from sim.engine.traffic import control
from sim.engine.trees import Trees
from sim.exact.boosting import Boosting, grown, margins
from sim.exact.sums import exchanges, message_bytes
from sim.lazy import Tensor, torch
from sim.methods.contract import Weighting
from sim.profiling import stage
from sim.tasks.classify import Classification
from sim.tasks.task import Task


class Edges(Enum):
    """How the edges between bins are placed, once, before the first tree."""

    quantile = "quantile"  # about as many training rows of all sites between any two
    width = "width"  # equally far apart, from the smallest to the largest value of any site


@dataclass
class HistBoost(Trees):
    """Histogram gradient boosting on summed gradients: the trees equal those of the pooled rows.

    Source: Li et al., FedTree: A Federated Learning System For Trees, MLSys 2023; gains and leaves: Chen and Guestrin,
    XGBoost: A Scalable Tree Boosting System, KDD 2016; histograms between parties: Cheng et al., SecureBoost, IEEE
    Intelligent Systems 2021.
    Rule: per open node, feature and bin, sites send `G = sum g`, `H = sum h` and the number of rows, where `g = p - y`
    and `h = p (1 - p)`; the server splits where `1/2 (GL^2/(HL + l2) + GR^2/(HR + l2) - G^2/(H + l2))` is largest and
    above `min_gain`, else the node is a leaf of value `-learning_rate G/(H + l2)`. It starts from the log-odds of all
    rows.
    Values: `rounds` is the number of trees; each takes up to `depth` exchanges. 32 to 255 bins, depth 3 to 6, learning
    rate 0.05 to 0.3, l2 = 1 (XGBoost's default).
    Pitfalls: with bin edges that differ between sites, sums over sites combine different things; here one exchange of
    ranges (and one of counts) makes them common. Ranges are values of single patients, and histograms of small nodes
    cover few patients. Combining trees that were grown at the sites is another method, and not pooled boosting.
    """

    depth: int = 3  # [1, 12] levels of splits in a tree
    bins: int = 32  # [2, 255] of every feature
    edges: Edges = Edges.quantile  # how bins are placed
    learning_rate: float = 0.1  # (0, 1], factor on the values of leaves
    l2: float = 1.0  # >= 0, weight of l2/2 times the squared values of leaves
    min_gain: float = 0.0  # >= 0, minimum gain of a split
    min_child_weight: float = 1.0  # >= 0, minimum H on either side of a split
    min_rows: int = 1  # >= 1, minimum training rows of all sites on either side of a split

    def __post_init__(self) -> None:
        within("algorithm.depth", self.depth, 1, 12)
        within("algorithm.bins", self.bins, 2, 255)
        within("algorithm.learning_rate", self.learning_rate, 0, 1, open_low=True)
        within("algorithm.l2", self.l2, 0)
        within("algorithm.min_gain", self.min_gain, 0)
        within("algorithm.min_child_weight", self.min_child_weight, 0)
        within("algorithm.min_rows", self.min_rows, 1)

    def fits(self, plan: Simulation) -> None:
        """Refuse an outcome that is not yes or no, a network, and sites that do not all answer."""
        if not isinstance(plan.task, Classification):
            raise Refused(
                f"algorithm=histboost boosts the log loss of a yes-or-no outcome, and the task is "
                f"{type(plan.task).__name__}. Use task=response, mortality or classify; for a survival outcome use "
                "algorithm=survivalforest."
            )
        if plan.roles.weighting is Weighting.sites:
            raise Refused(
                "weighting=sites: algorithm=histboost adds up patients, so every patient has the same weight. Set "
                "weighting=patients."
            )
        self.refuse(plan, "histboost")

    def protocol(self, trees: int) -> Boosting:
        """What sites and server do."""
        return Boosting(
            trees,
            self.depth,
            self.bins,
            self.edges is Edges.quantile,
            self.learning_rate,
            self.l2,
            self.min_gain,
            self.min_child_weight,
            self.min_rows,
        )

    @property
    def messages(self) -> tuple[str, str]:
        """New decisions down; sums over the site's patients up."""
        return "decisions", "sums"

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Round 0 is the overall log-odds, with the cost of placing the bins; every other round is a tree.

        Sites keep what they received, so that only new decisions are sent.
        """
        self.fits(plan)
        analysis, members = self.protocol(plan.rounds), plan.federation.members
        number, seconds, known, up, down, asked = 0, 0.0, 0, 0, 0, 0
        most = 2 + plan.rounds * self.depth
        going = exchanges(analysis, lambda seen, _: crew.answers(analysis, seen, members), most)
        for here in going:
            new = message_bytes(analysis.sent(here.state)) - known
            seconds += self.travel(plan, max(here.bytes_up), new)
            known, up, down = known + new, up + sum(here.bytes_up), down + new * len(members)
            asked += control(len(members))
            if "edges" not in here.state:
                continue
            forest, growing = grown(here.state["nodes"])
            if len(growing) or len(forest) < number:
                continue
            trees = {name: here.state[name] for name in ("base", "nodes")}
            done = Round(number, torch.empty(0), seconds, down, up, asked, sites=len(members), forest=trees)
            yield self.scored(plan, done, trees) if plan.due(number) else done
            number, up, down, asked = number + 1, 0, 0, 0

    def scored(self, plan: Simulation, here: Round, forest: Mapping[str, Floats]) -> Round:
        """The round with the forest judged on every site's held-out rows."""
        held = Held.of(plan.federation, SCORED)
        with stage("evaluation"):
            output = log_odds(plan.federation.x[held.row], forest)
            targets = {name: column.double() for name, column in plan.task.targets(held.y).items()}
            rated = Rated(plan.task.score(output).numpy(), plan.task.row_loss(output, targets).numpy())
            metrics = measure(plan.task, held, rated) if len(held.row) else {}
        return judged(plan, replace(here, scores=rated.score), {"shared": metrics}, 0)

    def scores(self, task: Task, x: NDArray[np.floating], forest: Mapping[str, Floats]) -> Floats:
        """Probabilities of the label, [N]."""
        return np.asarray(task.score(log_odds(x, forest)).numpy())


def log_odds(x: NDArray[np.floating], forest: Mapping[str, Floats]) -> Tensor:
    """Output of the trees as a network gives it; [N, D] -> float64 [N, 1]."""
    trees, _ = grown(forest["nodes"])
    return torch.from_numpy(margins(x.astype(np.float64), forest["base"], trees))[:, None]
