"""Effect of a treatment on survival, patients weighted by the inverse of their chance of the treatment they had.

P predictors in addition to the treatment. Rows of a site: "x" [n, P + 1], "time_days" [n], "event" [n].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy

from sim.arrays import Bools, Floats
from sim.checks import Refused
from sim.exact.cox import WebDISCO
from sim.exact.newton import INTERCEPT, Logistic, NotEstimable, runaway
from sim.exact.sums import Message, Rows, State, SumProtocol


class Target(Enum):
    """The patients for whom the effect is estimated."""

    ate = "ate"  # all: weights 1/e of the treated, 1/(1 - e) of the others
    att = "att"  # the treated: weights 1 of the treated, e/(1 - e) of the others


@dataclass
class WeightedCox(SumProtocol):
    """Cox regression on the treatment alone, weighted by a propensity score that is fitted first, all from sums.

    Three parts: Newton's method for the logistic propensity score; one exchange of what the arms hold, with the event
    times; weighted WebDISCO, and the sandwich variance of Lin and Wei (JASA 1989), which takes the weights as known.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("propensity", "share", *WebDISCO.broadcast)
    names: Sequence[str]  # [P + 1] of the columns of x
    treatment: int  # column of the treatment
    levels: tuple[float, float]  # its value in untreated and in treated patients
    target: Target = Target.ate
    stabilised: bool = False  # whether the weights of `ate` are times the share of the patient's arm
    efron: bool = True

    @cached_property
    def score(self) -> Logistic:
        """The propensity score, a common intercept last."""
        others = [name for at, name in enumerate(self.names) if at != self.treatment]
        return Logistic([*others, INTERCEPT], site_intercepts=False)

    @cached_property
    def cox(self) -> WebDISCO:
        """The regression on the treatment."""
        return WebDISCO([self.names[self.treatment]], self.efron)

    def start(self) -> State:
        """That of the propensity score."""
        return self.score.start()

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Sums of the propensity score; what the arms hold; sums of the weighted regression."""
        treated, others = self.treated(rows), np.delete(rows["x"], self.treatment, axis=1)
        wide = np.hstack([others, np.ones((len(others), 1))])
        if "propensity" not in seen:
            return self.score.statistics({"x": wide, "y": treated.astype(np.float64)}, seen)
        weight = self.weight(treated, scipy.special.expit(wide @ seen["propensity"]))
        if "times" not in seen:
            return arms(treated, weight, others, rows["event"]) | self.cox.statistics(rows, {})
        if self.stabilised:
            weight = weight * seen["share"][treated.astype(int)]
        return self.cox.statistics({**rows, "x": rows["x"][:, [self.treatment]], "weight": weight}, seen)

    def treated(self, rows: Rows) -> Bools:
        """Who had the treatment, bool [n]."""
        return np.asarray(rows["x"][:, self.treatment] > np.mean(self.levels))

    def weight(self, treated: Bools, chance: Floats) -> Floats:
        """Weight of every patient before it is stabilised, from the chance of treatment; [n], [n] -> [n]."""
        if self.target is Target.att:
            return np.where(treated, 1.0, chance / (1 - chance))
        return np.where(treated, 1 / chance, 1 / (1 - chance))

    def total(self, messages: Sequence[Message]) -> Message:
        """Sums, and the union of event times."""
        times = [one["times"] for one in messages if "times" in one]
        found = super().total([{name: part for name, part in one.items() if name != "times"} for one in messages])
        return found | ({"times": np.unique(np.concatenate(times))} if times else {})

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """A step of the part that is under way, or the start of the next."""
        if "propensity" not in state:
            new, done = self.propensity(total, state)
            return ({"propensity": new["beta"]} if done else new), False
        if "arms" not in total:
            return self.cox.update(total, state)
        rows, events = total["arms"][[0, 3]]
        if not events.sum():
            raise Refused(
                "There is no event at any site, so no effect on survival can be estimated. Use more patients."
            )
        begun = self.cox.start() | state | {"share": rows / rows.sum(), "column": np.array([self.treatment])}
        return self.cox.update({"times": total["times"]}, begun | {name: total[name] for name in ARMS})

    def propensity(self, total: Message, state: State) -> tuple[State, bool]:
        """A step of the propensity score; refuses a column that decides the treatment, by name.

        Its coefficient then has no limit: some chances are 0 or 1, and no patient of the other arm is comparable.
        """
        try:
            new, done = self.score.update(total, state)
        except NotEstimable as refusal:
            self.refuse_decided(state["step"])
            raise NotEstimable(f"propensity score of {self.names[self.treatment]!r}: {refusal}") from refusal
        if done:
            self.refuse_decided(new["step"])
        return new, done

    def refuse_decided(self, step: Floats) -> None:
        """Refuse a last step [P + 1] of the propensity score that is long, by the name of its longest entry."""
        if column := runaway(step, self.score.names):
            raise NotEstimable(
                f"propensity score of {self.names[self.treatment]!r}: column {column!r} "
                "decides the arm of some patients, who have no like in the other arm. A product with the treatment, or "
                "what follows from it, is no confounder: name it in task.without."
            )


ARMS = ("arms", "means", "weighted_means", "squares")


def arms(treated: Bools, weight: Floats, x: Floats, event: Floats) -> Message:
    """What untreated and treated patients of a site hold.

    arms [4, 2]: patients, their weights, squared weights, events; means and weighted_means [2, P]: sums of the other
    predictors; squares [P]: sums of their squares over both arms.
    """
    each = np.stack([~treated, treated]).astype(np.float64)
    held = np.stack([each.sum(1), each @ weight, each @ weight**2, each @ event])
    return {"arms": held, "means": each @ x, "weighted_means": (each * weight) @ x, "squares": (x**2).sum(0)}


def effective(state: State) -> Floats:
    """Effective sample size of the untreated and the treated, `(sum w)^2 / sum w^2`; Kish 1965; [2]."""
    return np.asarray(state["arms"][1] ** 2 / state["arms"][2])


def imbalance(state: State) -> tuple[Floats, Floats]:
    """Differences of the arms' means in standard deviations of all patients, before and after weighting; [P], [P]."""
    rows, weights = state["arms"][:2]
    mean = state["means"].sum(0) / rows.sum()
    spread = np.sqrt(np.maximum(state["squares"] / rows.sum() - mean**2, 1e-300))
    before, after = state["means"] / rows[:, None], state["weighted_means"] / weights[:, None]
    return (before[1] - before[0]) / spread, (after[1] - after[0]) / spread
