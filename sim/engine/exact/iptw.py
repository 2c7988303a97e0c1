"""Effect of a treatment on survival, by propensity weighting."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import Refused, one_of
from sim.engine.exact.base import Exact, placed
from sim.engine.simulation import Estimates, Simulation
from sim.exact.iptw import Target, WeightedCox, effective, imbalance
from sim.exact.sums import State
from sim.federation.federation import Federation
from sim.federation.standardise import Scaling
from sim.lazy import Tensor
from sim.tasks.cox import Cox, Ties


@dataclass
class CoxIPTW(Exact):
    """Hazard ratio of a treatment, with patients weighted by the inverse probability of the treatment they received.

    For trials with an external control arm, and for treatments that were not randomised. The probability is a logistic
    regression of the treatment on all other predictors, by Newton's method on sums; the hazard ratio is a weighted Cox
    regression on the treatment alone, from sums over risk sets. Both fits are those of the pooled rows.

    Source: Ogier du Terrail et al., FedECA: federated external control arms for causal inference with time-to-event
    data in distributed settings, Nature Communications 2025; weights: Rosenbaum and Rubin, Biometrika 1983; Austin and
    Stuart, Statistics in Medicine 2015; robust variance: Lin and Wei, JASA 1989.
    Rule: `e = P(treated | x)`; `w = 1/e` of the treated and `1/(1 - e)` of the others (ate), or 1 and `e/(1 - e)`
    (att); the weighted partial likelihood is maximised; variance `I^-1 (sum r r') I^-1` with score residuals r.
    Values: `stabilised=true` multiplies the weights of ate by the share of the patient's arm.
    Pitfalls: intervals use the robust variance, because the model-based one counts weights as patients and is too
    small. The robust one treats the weights as known, which is conservative for ate. All predictors except the
    treatment are treated as confounders: exclude with `task.without` what the treatment itself changed. The bias of
    confounders that nobody recorded remains.
    """

    treatment: str = ""  # name of the 0/1 feature whose effect is estimated
    target: Target = Target.ate  # ate: effect in all patients; att: in the treated
    stabilised: bool = False  # whether the weights of ate are stabilised

    def __post_init__(self) -> None:
        if self.stabilised and self.target is Target.att:
            raise Refused("algorithm.stabilised=true: weights of target=att cannot be stabilised. Set it to false.")

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> WeightedCox:
        """Propensity score, arms, and the weighted regression; ties as `task.ties` has them."""
        if not isinstance(plan.task, Cox):
            raise Refused(
                f"algorithm=cox_iptw needs a survival outcome, not that of {type(plan.task).__name__}. Set task=cox."
            )
        one_of("algorithm.treatment", self.treatment, names)
        levels = arm_levels(plan.federation, self.treatment)
        place, efron = names.index(self.treatment), plan.task.ties is Ties.efron
        return WeightedCox(names, place, levels, self.target, self.stabilised, efron)

    def model(self, state: State, columns: Ints, x: Tensor) -> Tensor:
        """The effect of the treatment alone, once there is one."""
        if "propensity" not in state or "beta" not in state:
            return x
        return placed(state["beta"], columns[state["column"].astype(np.int64)], x)

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """The treatment's coefficient with both variances, and how far the weights can be relied on."""
        rows, events, sizes = state["arms"][0], state["arms"][3], effective(state)
        before, after = (float(np.abs(part).max(initial=0.0)) for part in imbalance(state))
        notes = (
            f"Treated: {rows[1]:.0f} patients, {events[1]:.0f} events, worth {sizes[1]:.1f} unweighted ones; "
            f"others: {rows[0]:.0f}, {events[0]:.0f} and {sizes[0]:.1f}",
            "Intervals and p are from the robust standard error; the model's own counts weights as patients",
            f"Largest difference between the arms' means of a predictor: {before:.2f} standard deviations before "
            f"weighting, {after:.2f} after",
        )
        return Estimates((self.treatment,), state["beta"], state["covariance"], state["robust"], True, notes=notes)


def arm_levels(federation: Federation, name: str) -> tuple[float, float]:
    """Values of a 0/1 feature as the engine holds them; refuses one that has other values or no common scale."""
    recipe, at = federation.recipe, federation.features.index(name)
    if recipe is not None and recipe.scaling is Scaling.site:
        raise Refused(
            "split.scaling=site: the arms must have the same codes at all sites. Set split.scaling=federated or none."
        )
    parts = [np.unique(federation.x[first:end, at]) for first, end, *_ in federation.bounds[federation.members]]
    held = np.unique(np.concatenate(parts)).astype(np.float64)
    recorded = held if recipe is None else held * recipe.scale[0, at] + recipe.mean[0, at]
    if len(held) != 2 or not np.allclose(recorded, (0, 1), atol=1e-4):
        values = ", ".join(f"{value:.4g}" for value in recorded[:3]) + (", ..." if len(held) > 3 else "")
        raise Refused(
            f"algorithm.treatment={name!r}: it holds {values} in the training rows; allowed are 0 and 1, and both must "
            "occur. Name another feature, or leave out the patients without a known treatment."
        )
    return float(held[0]), float(held[1])
