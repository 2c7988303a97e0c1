"""Lasso from sums as a method."""

from dataclasses import dataclass

from sim.checks import Refused, within
from sim.engine.exact.base import Exact
from sim.engine.exact.cox import partial
from sim.engine.exact.newton import regression
from sim.engine.simulation import Estimates, Simulation
from sim.exact.lasso import Lasso
from sim.exact.newton import INTERCEPT
from sim.exact.sums import Likelihood, State, SumProtocol
from sim.tasks.classify import Classification
from sim.tasks.cox import Cox
from sim.tasks.poisson import Poisson


@dataclass
class LassoPath(Exact):
    """Logistic, Poisson or Cox regression with an L1 penalty that selects features: the lasso of the pooled rows.

    Source: Tibshirani, JRSS B 1996; proximal Newton: Lee, Sun and Saunders, SIAM J. Optim. 2014; coordinate descent:
    Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010; Cox: Simon, Friedman, Hastie and Tibshirani, J. Stat. Softw.
    2011; BIC: Zou, Hastie and Tibshirani, Ann. Stat. 2007; Volinsky and Raftery, Biometrics 2000.
    Rule: minimise `-loglik / n + penalty |beta|_1` over standardised features, without a penalty on the intercept, from
    summed gradients and curvatures (for Cox those of `cox_webdisco`). On a path, the fit with the smallest
    `-2 loglik + log(n) (features selected)` is kept, where n counts patients, or for Cox events.
    Values: `penalty=0` tries ten penalties, from the smallest that selects no feature down to a hundredth of it, with
    three to five rounds each: set rounds=80. A given penalty takes about ten rounds. `stratified=true` (task=cox) keeps
    a baseline hazard for every site and sends no event times.
    Pitfalls: the coefficients are shrunk, and the same data selected them, so there are no standard errors. With
    `split.scaling=site` features have no common scale, and the penalty defines another model. For Cox, an exchange
    sends P (P + 1) / 2 sums at each event time, unless `stratified=true`; either way the pooled computation holds an
    array of rows times P (P + 1) / 2 numbers, so that hundreds of features take gigabytes.
    """

    penalty: float = 0.0  # >= 0, per patient; 0 = a path, of which the BIC chooses
    steps: int = 10  # >= 2, penalties of the path
    ratio: float = 0.01  # (0, 1), of the last penalty of the path to the first
    stratified: bool = False  # whether, for task=cox, every site has a baseline hazard of its own

    def __post_init__(self) -> None:
        within("algorithm.penalty", self.penalty, 0)
        within("algorithm.steps", self.steps, 2)
        within("algorithm.ratio", self.ratio, 0, 1, open_low=True, open_high=True)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """The path over the regression of the task."""
        if isinstance(plan.task, Cox):
            return self.path(partial(plan.task, names, self.stratified), names, len(names))
        if self.stratified:
            raise Refused("algorithm.stratified=true is for survival times. Set task=cox, or stratified=false.")
        likelihood = regression(plan.task, names, 0.0, "lasso", (Classification, Poisson))
        return self.path(likelihood, (*names, INTERCEPT), len(names))

    def path(self, likelihood: Likelihood, names: tuple[str, ...], penalised: int) -> Lasso:
        """Penalties for a likelihood."""
        return Lasso(likelihood, names, penalised, self.penalty, self.steps, self.ratio)

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """The coefficients, without errors; the penalty, and how many features are left."""
        left = int((state["beta"][: len(names)] != 0).sum())
        how = "as set" if self.penalty else f"by the BIC, of {self.steps} from {float(state['first']):.4g} down"
        notes = [f"Penalty {float(state['chosen']):.4g}, {how}: {left} of {len(names)} features are left"]
        if not self.penalty and state["chosen"] == state["penalty"]:
            notes.append(
                "The BIC is least at the end of the path. Lower algorithm.ratio to follow it further; where there are "
                "more features than patients or events it falls without end and is no guide, so set algorithm.penalty"
            )
        return super().estimates(plan, state, names)._replace(notes=tuple(notes))
