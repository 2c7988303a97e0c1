"""Regression by Newton's method on summed gradients and curvatures."""

from dataclasses import dataclass

from sim.checks import Refused, within
from sim.engine.exact.base import Exact
from sim.engine.simulation import Simulation
from sim.exact.glm import LeastSquares, LogLinear
from sim.exact.newton import INTERCEPT, Logistic
from sim.exact.sums import Intercepted, SumProtocol
from sim.tasks.classify import Classification
from sim.tasks.poisson import Poisson
from sim.tasks.regress import Regression
from sim.tasks.task import Task

# What fits a task by sums, and the column of its outcome.
MODELS: dict[type[Task], tuple[type[Logistic], str]] = {
    Classification: (Logistic, "label"),
    Poisson: (LogLinear, "value"),
    Regression: (LeastSquares, "value"),
}
WORDS = {Classification: "a yes-or-no outcome", Poisson: "a count", Regression: "a number"}


@dataclass
class Newton(Exact):
    """Logistic, Poisson or linear regression by Newton's method on sums over patients: the fit of the pooled rows.

    The task determines the model: a label, a count (exp of a coefficient is a rate ratio), or a number (least squares).

    Source: Wu et al., Grid Binary LOgistic REgression (GLORE), JAMIA 2012; models: McCullagh and Nelder, Generalized
    Linear Models, 1989.
    Rule: `beta <- beta + (sum X_i' W_i X_i)^-1 sum X_i' (y_i - mu_i)`, a step is halved if the likelihood decreased.
    Values: five to eight rounds, two for least squares; it stops when the Newton decrement is below 1e-12.
    Pitfalls: with separated outcomes there is no maximum, which is refused with the name of the column; set `ridge` in
    this case.
    """

    ridge: float = 0.0  # >= 0, weight of the penalty ridge/2 |beta|^2 (without intercept) on the summed log-likelihood

    def __post_init__(self) -> None:
        within("algorithm.ridge", self.ridge, 0)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """Regression with one intercept, by the kind of the task."""
        return regression(plan.task, names, self.ridge, "newton")


def regression(
    task: Task, names: tuple[str, ...], ridge: float, method: str, kinds: tuple[type[Task], ...] = tuple(MODELS)
) -> Intercepted:
    """Regression of a task on the training rows as the engine holds them, an intercept last.

    Refuses a task of none of the `kinds`, in the name of a method.
    """
    kind = next((kind for kind in kinds if isinstance(task, kind)), None)
    if kind is None:
        raise Refused(
            f"algorithm={method} fits {' or '.join(WORDS[one] for one in kinds)}, and the task is "
            f"{type(task).__name__}. Take a task such as response or mortality, or algorithm=cox_webdisco for a "
            "survival time."
        )
    model, outcome = MODELS[kind]
    return Intercepted(model((*names, INTERCEPT), site_intercepts=False, ridge=ridge), outcome)
