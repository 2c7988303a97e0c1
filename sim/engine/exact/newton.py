"""Regression by Newton's method on summed gradients and curvatures."""

from dataclasses import dataclass

from sim.checks import Refused, within
from sim.engine.exact.base import INTERCEPT, Exact
from sim.engine.simulation import Simulation
from sim.exact.newton import Logistic
from sim.exact.sums import Intercepted, SumProtocol
from sim.tasks.classify import Classification
from sim.tasks.task import Task


@dataclass
class Newton(Exact):
    """Logistic regression by Newton's method on summed gradients and curvatures: the maximum-likelihood fit.

    Source: Wu et al., Grid Binary LOgistic REgression (GLORE), JAMIA 2012.
    Rule: `beta <- beta + (sum X_i' W_i X_i)^-1 sum X_i' (y_i - mu_i)`, a step halved where the likelihood got worse.
    Values: five to eight rounds; it stops where the Newton decrement is below 1e-12.
    Pitfalls: with separated outcomes there is no maximum, which is refused by name of the column; set `ridge` then.
    """

    ridge: float = 0.0  # >= 0, weight of ridge/2 |beta|^2 beside the summed log-likelihood, intercept excepted

    def __post_init__(self) -> None:
        within("algorithm.ridge", self.ridge, 0)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """Regression with one intercept, by the kind of the task."""
        return regression(plan.task, names, self.ridge, "newton")


def regression(task: Task, names: tuple[str, ...], ridge: float, method: str) -> SumProtocol:
    """Logistic regression of a task on the training rows as the engine holds them, an intercept last.

    Refuses a task of another kind in the name of a method.
    """
    if not isinstance(task, Classification):
        raise Refused(
            f"algorithm={method} fits a yes-or-no outcome, and the task is {type(task).__name__}. "
            "Take a task such as response or mortality, or algorithm=cox_webdisco for a survival time."
        )
    return Intercepted(Logistic((*names, INTERCEPT), site_intercepts=False, ridge=ridge), "label")
