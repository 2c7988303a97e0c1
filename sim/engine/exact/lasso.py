"""Lasso from sums as a method."""

from dataclasses import dataclass

from sim.checks import within
from sim.engine.exact.base import INTERCEPT, Exact
from sim.engine.exact.newton import regression
from sim.engine.simulation import Estimates, Simulation
from sim.exact.lasso import Lasso
from sim.exact.sums import State, SumProtocol
from sim.tasks.classify import Classification
from sim.tasks.poisson import Poisson


@dataclass
class LassoPath(Exact):
    """Logistic or Poisson regression with features selected by an L1 penalty: the lasso of the pooled rows.

    Source: Tibshirani, JRSS B 1996; proximal Newton: Lee, Sun and Saunders, SIAM J. Optim. 2014; coordinate descent:
    Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010; choice: Zou, Hastie and Tibshirani, Ann. Stat. 2007.
    Rule: minimises `-loglik / n + penalty |beta|_1` over standardised features, without the intercept, from summed
    gradients and curvatures; of a path, the fit with the lowest `-2 loglik + log(n) (features left)`.
    Values: `penalty=0` tries ten penalties, from the smallest that excludes all features down to a hundredth of it, in
    three to five rounds each: set rounds=80. A single penalty takes about ten rounds.
    Pitfalls: coefficients are shrunk and chosen from the data, so there is no standard error. Without a common standard
    deviation there is no common penalty: with `split.scaling=site` it is another model.
    """

    penalty: float = 0.0  # >= 0, per patient; 0 = a path of penalties, chosen by BIC
    steps: int = 10  # >= 2, number of penalties in the path
    ratio: float = 0.01  # (0, 1), last penalty of the path divided by the first

    def __post_init__(self) -> None:
        within("algorithm.penalty", self.penalty, 0)
        within("algorithm.steps", self.steps, 2)
        within("algorithm.ratio", self.ratio, 0, 1, open_low=True, open_high=True)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """The path over the regression of the task."""
        likelihood = regression(plan.task, names, 0.0, "lasso", (Classification, Poisson))
        return Lasso(likelihood, (*names, INTERCEPT), self.penalty, self.steps, self.ratio)

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """The coefficients, without errors; the penalty, and how many features are left."""
        left = int((state["beta"][:-1] != 0).sum())
        how = "as set" if self.penalty else f"by the BIC, of {self.steps} from {float(state['first']):.4g} down"
        note = f"Penalty {float(state['chosen']):.4g}, {how}: {left} of {len(names)} features are left"
        return super().estimates(plan, state, names)._replace(notes=(note,))
