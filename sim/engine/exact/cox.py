"""Cox regression by sums over risk sets."""

from dataclasses import dataclass

from sim.checks import Refused
from sim.engine.exact.base import Exact
from sim.engine.simulation import Simulation
from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.sums import SumProtocol
from sim.tasks.cox import Cox, Ties


@dataclass
class CoxWebDISCO(Exact):
    """Cox regression with one baseline hazard from sums over risk sets: the fit of the pooled rows.

    Standard errors are those of the information matrix, and also the robust ones of the sandwich estimator.

    Source: Lu et al., WebDISCO: a web service for distributed Cox model learning without patient-level data sharing,
    JAMIA 2015; robust variance: Lin and Wei, JASA 1989.
    Rule: sites send their event times, then for each of them `S0 = sum exp(x beta)` over patients at risk, and `S1` and
    `S2` with the factors x and x x'; `beta <- beta + I^-1 U`.
    Values: `stratified=true` uses one baseline hazard per site and sends no event times.
    Pitfalls: the local partial likelihoods of sites do not add up to the pooled one; event times and sums over few
    patients at risk leave a site.
    """

    stratified: bool = False  # whether every site has its own baseline hazard, so that no event time leaves it

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """Newton's method on either likelihood, ties as `task.ties` has them."""
        if not isinstance(plan.task, Cox):
            raise Refused(f"algorithm=cox_webdisco fits a survival time, not {type(plan.task).__name__}. Set task=cox.")
        return partial(plan.task, names, self.stratified)


def partial(task: Cox, names: tuple[str, ...], stratified: bool) -> WebDISCO | StratifiedCox:
    """A partial likelihood with risk sets over all sites or within each, ties as `task.ties` has them."""
    return (StratifiedCox if stratified else WebDISCO)(names, task.ties is Ties.efron)
