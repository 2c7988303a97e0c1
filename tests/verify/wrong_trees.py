"""Known wrong implementations of methods whose model is trees."""

from dataclasses import dataclass, replace

import numpy as np

from sim.engine.histboost import HistBoost
from sim.engine.survivalforest import SurvivalForest
from sim.exact.boosting import Boosting, borders
from sim.exact.survival_forest import Growing, counts
from tests.verify.wrong import wrong


class Other(HistBoost):
    """HistBoost with another protocol in place of its own."""

    kind = Boosting

    def protocol(self, trees):
        return self.kind(**vars(super().protocol(trees)))


@dataclass
class OwnEdges(Boosting):
    """Bins between the smallest and the largest value of the site itself."""

    def statistics(self, rows, seen):
        if "edges" in seen:
            seen = {**seen, "edges": borders(rows["x"].min(0), rows["x"].max(0), self.bins)}
        return super().statistics(rows, seen)


@dataclass
class MeanOfSites(Boosting):
    """Histograms are averaged over sites as models are, with their rows as weights, and not summed."""

    def total(self, messages):
        found = super().total(messages)
        if "sums" in found:
            found["sums"] = found["sums"] / len(messages)
        return found


@dataclass
class CountsForCurvature(Boosting):
    """Leaves and gains divide by rows, as for squared errors."""

    def statistics(self, rows, seen):
        sent = super().statistics(rows, seen)
        if "sums" in sent:
            sent["sums"][..., 1] = sent["sums"][..., 2]
        return sent


@dataclass
class LeavesUnscaled(Boosting):
    """The learning rate is not applied."""

    def leaf(self, part):
        return Boosting.leaf(replace(self, learning_rate=1.0), part)


@dataclass
class NoPenalty(Boosting):
    """l2 counts in gains and not in leaves."""

    def leaf(self, part):
        return Boosting.leaf(replace(self, l2=0.0), part)


@dataclass
class FromZero(Boosting):
    """Starts from log-odds of 0, a chance of one half."""

    def update(self, total, state):
        new, done = super().update(total, state)
        return new | {"base": np.zeros(1)}, done


def enter(kind: type[Boosting]) -> type:
    """HistBoost by this protocol, among the wrong implementations."""
    return wrong("histboost")(type(kind.__name__, (Other,), {"kind": kind, "__doc__": kind.__doc__}))


OTHERS = [enter(kind) for kind in (OwnEdges, MeanOfSites, CountsForCurvature, LeavesUnscaled, NoPenalty, FromZero)]


@wrong("histboost")
class FreeDecisions(HistBoost):
    """What the server sends is not counted."""

    def rounds(self, plan, crew):
        for here in super().rounds(plan, crew):
            yield replace(here, bytes_down=0)


@wrong("survivalforest")
class EqualDraws(SurvivalForest):
    """Every site gives as many trees, whatever its patients."""

    def growing(self, plan):
        even = (plan.federation.rows > 0).astype(float)
        return replace(super().growing(plan), wanted=counts(even, self.drawn, self.trees, plan.seed))


@wrong("survivalforest")
class ExcessLost(SurvivalForest):
    """What a site lacks is drawn from nobody."""

    def growing(self, plan):
        wanted = counts(plan.weights({}), self.drawn, 10**9, plan.seed)
        return replace(super().growing(plan), wanted=np.minimum(wanted, self.trees))


@wrong("survivalforest")
class AllFeatures(SurvivalForest):
    """Every node looks at all features: bagging, and no random forest."""

    def growing(self, plan):
        return replace(super().growing(plan), tries=len(plan.federation.features))


@wrong("survivalforest")
class CensoringIsDeath(SurvivalForest):
    """Censored times count as events."""

    def growing(self, plan):
        return Deadly(**vars(super().growing(plan)))


@dataclass
class Deadly(Growing):
    """Trees on times alone."""

    def tree(self, rows, number):
        return super().tree({**rows, "event": np.ones_like(rows["event"])}, number)


@wrong("survivalforest")
class FreeDownload(SurvivalForest):
    """The download of the forest is not counted."""

    def rounds(self, plan, crew):
        for here in super().rounds(plan, crew):
            yield replace(here, bytes_down=min(here.bytes_down, 8 * here.sites))
