"""A federated survival forest: trees that sites grew on their own rows, instead of a parameter vector."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused, within
from sim.engine.evaluation import Held, Metrics, Rated, measure
from sim.engine.executors import Crew
from sim.engine.simulation import SCORED, Round, Simulation
from sim.engine.traffic import control, evaluation
from sim.engine.trees import Trees
from sim.exact.sums import exchanges
from sim.exact.survival_forest import Growing, counts, risk
from sim.lazy import torch
from sim.profiling import stage
from sim.tasks.cox import Cox
from sim.tasks.hazard import Hazard
from sim.tasks.task import Task

COUNT = 8  # bytes of a number of rows, and of a number of trees


@dataclass
class SurvivalForest(Trees):
    """A survival forest of trees that sites grow on their own rows, sampled in proportion to their patients.

    Source: Archetti and Matteucci, Federated Survival Forests, IJCNN 2023; trees: Ishwaran et al., Random survival
    forests, Annals of Applied Statistics 2008.
    Rule: every site has `trees` trees on bootstrap samples, each split is the one with the largest log-rank statistic
    among a number of random features, by default the square root of all. The server draws a site `drawn` times with
    probability `n_k / n` (equal with weighting=sites); if a site has too few trees, the rest is drawn from the others;
    trees of a site are drawn with replacement. `S(t | x)` is the mean of the drawn trees' Kaplan-Meier curves, and the
    risk is minus the area under it up to the last event.
    Values: trees = 100, drawn = 100 to 500, min_split = 20, min_leaf = 3 and no depth limit, as in the authors' runs on
    GBSG2 (C .686 federated, .645 isolated).
    Pitfalls: no tree sees patients of two sites, so small sites grow small trees: this is bagging, not the pooled
    forest. Curves in leaves with few patients contain their event times, which leave the site. There is no loss; use C.
    The paper's other rule, sampling by a site's Brier score, and its choice of `drawn` by validation are not
    implemented. The time for a tree grows with the square of a site's patients, because all thresholds are tried.
    """

    trees: int = 100  # >= 1, trees that each site grows
    drawn: int = 200  # >= 1, trees of the forest, at most `trees` times the number of sites
    features: int = 0  # >= 0, features considered per node; 0 = the square root of their number, rounded up
    min_split: int = 20  # >= 2 patients in a node that may be split
    min_leaf: int = 3  # >= 1 patients on either side of a split
    depth: int = 0  # >= 0 levels of splits; 0 = any
    bootstrap: bool = True  # whether each tree uses a bootstrap sample of the patients instead of all

    def __post_init__(self) -> None:
        within("algorithm.trees", self.trees, 1)
        within("algorithm.drawn", self.drawn, 1)
        within("algorithm.features", self.features, 0)
        within("algorithm.min_split", self.min_split, 2)
        within("algorithm.min_leaf", self.min_leaf, 1)
        within("algorithm.depth", self.depth, 0)

    def fits(self, plan: Simulation) -> None:
        """Refuse an outcome without times, a network, sites that do not all answer, and more trees than there are."""
        if not isinstance(plan.task, Cox | Hazard):
            raise Refused(
                f"algorithm=survivalforest splits by survival times, and the task is {type(plan.task).__name__}. Take "
                "task=cox or task=hazard, or algorithm=histboost for a yes-or-no outcome."
            )
        self.refuse(plan, "survivalforest")
        most, width = self.trees * len(plan.federation.members), len(plan.federation.features)
        if self.drawn > most:
            raise Refused(
                f"algorithm.drawn={self.drawn}: {len(plan.federation.members)} sites with algorithm.trees={self.trees} "
                f"have {most} trees. Lower algorithm.drawn, or raise algorithm.trees."
            )
        if self.features > width:
            raise Refused(f"algorithm.features={self.features}: there are {width}; allowed 0 to {width}.")

    def growing(self, plan: Simulation) -> Growing:
        """What sites are asked for."""
        return Growing(
            plan.federation.keys,
            counts(plan.weights({}), self.drawn, self.trees, plan.seed),
            self.trees,
            self.features,
            self.min_split,
            self.min_leaf,
            self.depth,
            self.bootstrap,
            plan.seed,
        )

    @property
    def messages(self) -> tuple[str, str]:
        """The forest once; the site's trees once."""
        return "all trees", "its trees"

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Round 0 has no model; round 1, the last, the forest, whatever `rounds` is.

        Sites send their numbers of patients, hear how many trees are drawn, send these, and download the forest.
        """
        self.fits(plan)
        members, analysis = plan.federation.members, self.growing(plan)
        yield Round(0, torch.empty(0))
        with stage("training"):
            (done,) = exchanges(analysis, lambda seen, _: crew.answers(analysis, seen, members), 1)
        forest = sum(done.bytes_up)
        seconds = self.travel(plan, COUNT, COUNT) + self.travel(plan, max(done.bytes_up), forest)
        with stage("evaluation"):
            held = Held.of(plan.federation, SCORED)
            score = self.scores(plan.task, plan.federation.x[held.row], done.state)
            metrics = self.judge(plan, held, Rated(score, np.zeros_like(score)))
        size = len(members)
        yield Round(
            1,
            torch.empty(0),
            seconds,
            size * (COUNT + forest),
            size * COUNT + forest,
            control(2 * size),
            evaluation(plan.federation, metrics, 0),
            size,
            metrics=metrics,
            forest=done.state,
            scores=score,
        )

    def scores(self, task: Task, x: NDArray[np.floating], forest: Mapping[str, Floats]) -> Floats:
        """Minus the area under each row's survival curve, in days; [N]."""
        return risk(x.astype(np.float64), forest)

    def judge(self, plan: Simulation, held: Held, rated: Rated) -> dict[str, Metrics]:
        """Metrics of every site and split, but for the loss; {} without rows."""
        if not len(held.row):
            return {}
        judged = measure(plan.task, held, rated)
        return {"shared": {name: values for name, values in judged.items() if name != "loss"}}
