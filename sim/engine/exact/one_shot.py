"""Fits in one to three exchanges: the sites' own estimates combined, and surrogate likelihoods of a lead site."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from sim.arrays import Floats
from sim.checks import Refused, one_of, within
from sim.engine.exact.base import Exact
from sim.engine.exact.newton import regression
from sim.engine.simulation import Estimates, Simulation
from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.newton import INTERCEPT
from sim.exact.one_shot import MetaAnalysis, Surrogate
from sim.exact.sums import Likelihood, State, SumProtocol
from sim.federation.federation import Federation
from sim.tasks.classify import Classification
from sim.tasks.cox import Cox, Ties


class Effects(Enum):
    """The assumption about the sites' true coefficients."""

    fixed = "fixed"  # the same at all sites
    random = "random"  # draws about a mean


@dataclass
class OwnFits(Exact):
    """An analysis that begins with every site's own fit; base of those here."""

    def own(self, plan: Simulation, names: tuple[str, ...]) -> tuple[Likelihood, tuple[str, ...]]:
        """A site's own fit, and the names of its coefficients. Refuses a task whose fit it is not."""
        raise NotImplementedError

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """The combined coefficients, and the sites that have no fit of their own."""
        return super().estimates(plan, state, names)._replace(notes=without_fit(plan.federation, state["fitted"]))


def without_fit(federation: Federation, fitted: Floats) -> tuple[str, ...]:
    """One sentence about the members without a fit of their own, or none; [K]."""
    lacking = [federation.sites[at] for at in federation.members[fitted == 0]]
    if not lacking:
        return ()
    return (
        f"{len(lacking)} of {len(fitted)} sites have no fit of their own (a column is the same in all their patients, "
        f"or tells the outcomes apart) and are left out of the mean of estimates: {', '.join(lacking)}",
    )


def cox_of(plan: Simulation, names: tuple[str, ...], method: str) -> StratifiedCox:
    """Cox regression within sites, ties as `task.ties` has them; refuses another task in the name of a method."""
    if not isinstance(plan.task, Cox):
        raise Refused(
            f"algorithm={method} needs a survival outcome, not that of {type(plan.task).__name__}. Set task=cox."
        )
    return StratifiedCox(names, plan.task.ties is Ties.efron)


@dataclass
class Meta(OwnFits):
    """Meta-analysis: every site fits its own model and sends the estimate with its covariance, once.

    Source: inverse-variance weights: Cochran, Biometrics 1954; random effects: DerSimonian and Laird, Controlled
    Clinical Trials 1986; I2: Higgins and Thompson, Statistics in Medicine 2002.
    Rule: fixed: `b = (sum V_k^-1)^-1 sum V_k^-1 b_k`, all coefficients together; random: each by itself, `b = sum w_k
    b_k / sum w_k` with `w_k = 1 / (v_k + tau2)`.
    Values: `effects=random` if effects may differ between sites; with fewer than five sites tau2 is very uncertain [M].
    Pitfalls: with few events, a site's estimate is biased and its variance is too uncertain for weighting; a site
    without a fit is left out, and named. Random effects combine the intercept in standardised units.
    """

    effects: Effects = Effects.fixed  # fixed: the same effect at all sites; random: effects vary around a mean

    @property
    def messages(self) -> tuple[str, str]:
        """Nothing down; a site's own estimates and their covariances up."""
        return "–", "estimates"

    def own(self, plan: Simulation, names: tuple[str, ...]) -> tuple[Likelihood, tuple[str, ...]]:
        """Cox regression or the regression of the task."""
        if isinstance(plan.task, Cox):
            return cox_of(plan, names, "meta"), names
        return regression(plan.task, names, 0.0, "meta"), (*names, INTERCEPT)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """Own fits, combined."""
        return MetaAnalysis(*self.own(plan, names), self.effects is Effects.random)

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """The combined coefficients, and for each how much the sites differ."""
        found = super().estimates(plan, state, names)
        return found._replace(beside={name: state[name] for name in ("q", "q_p", "i2")})


@dataclass
class LeadSite(OwnFits):
    """A surrogate likelihood on the patients of a lead site; base of ODAL, ODAC and ODACH."""

    lead: str = ""  # lead site, whose likelihood is used; empty = the one with the most training rows

    def lead_number(self, federation: Federation) -> int:
        """Its number among the sites that train; refuses a name that none of them has."""
        members = [federation.sites[at] for at in federation.members]
        if not self.lead:
            return int(np.argmax(federation.rows[federation.members]))
        one_of("algorithm.lead", self.lead, members)
        return members.index(self.lead)

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """The lead site's maximum; who led, and who is left out of the first mean."""
        found, federation = super().estimates(plan, state, names), plan.federation
        lead = federation.sites[federation.members[self.lead_number(federation)]]
        return found._replace(notes=(f"Lead site: {lead}", *found.notes))


@dataclass
class ODAL(LeadSite):
    """Logistic regression in three exchanges, close to the pooled fit: a lead site's corrected likelihood.

    Source: Duan et al., Learning from electronic health records across multiple sites: a communication-efficient and
    privacy-preserving distributed algorithm, JAMIA 2020; surrogate: Jordan, Lee and Yang, JASA 2019.
    Rule: `b0` = mean of the sites' estimates by inverse variance; maximise `L_1(b) + (L'(b0) - L_1'(b0)) b + (b - b0)'
    (L''(b0) - L_1''(b0)) (b - b0) / 2`, where L_1 (lead site) and L (all sites) are means over patients.
    Values: `order=2` as written; `order=1` leaves out the last term, sends no curvature and is less exact.
    Pitfalls: it is not the pooled fit: errors of b0 affect it, above all with rare outcomes. `algorithm=newton` gives
    the pooled fit in about five exchanges of the same size.
    """

    order: int = 2  # 1 or 2, number of corrected derivatives

    def __post_init__(self) -> None:
        within("algorithm.order", self.order, 1, 2)

    def own(self, plan: Simulation, names: tuple[str, ...]) -> tuple[Likelihood, tuple[str, ...]]:
        """Logistic regression."""
        return regression(plan.task, names, 0.0, "odal", (Classification,)), (*names, INTERCEPT)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """The surrogate likelihood."""
        return Surrogate(*self.own(plan, names), self.lead_number(plan.federation), self.order == 2)


@dataclass
class ODACH(LeadSite):
    """Cox regression in three exchanges, close to the fit stratified by site, with one baseline hazard per site.

    Source: Luo et al., ODACH: a one-shot distributed algorithm for Cox model with heterogeneous multi-center data,
    Scientific Reports 2022.
    Rule: that of ODAL on partial likelihoods within sites.
    Values: the lead site needs enough events for its own curvature; no event time leaves a site.
    Pitfalls: it approximates `algorithm=cox_webdisco algorithm.stratified=true`, which takes about five exchanges of
    the same size and is exact.
    """

    def own(self, plan: Simulation, names: tuple[str, ...]) -> tuple[Likelihood, tuple[str, ...]]:
        """Cox regression within the site."""
        return cox_of(plan, names, "odach"), names

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """The surrogate likelihood."""
        return Surrogate(*self.own(plan, names), self.lead_number(plan.federation))


@dataclass
class ODAC(LeadSite):
    """Cox regression in three exchanges, close to the pooled fit with one baseline hazard for all sites.

    Source: Duan et al., Learning from local to global: an efficient distributed algorithm for modeling time-to-event
    data, JAMIA 2020.
    Rule: that of ODAL; the derivatives over all sites are those of the pooled partial likelihood, from sums over risk
    sets at every site's event times.
    Values: `breslow_sums=true` is what R's pda does regardless of the rule for ties: results then approach Breslow's
    fit.
    Pitfalls: event times and sums over few patients at risk leave a site, as with `cox_webdisco`, which is exact.
    """

    breslow_sums: bool = False  # whether sums over all sites use Breslow's ties, even if task.ties is efron

    def own(self, plan: Simulation, names: tuple[str, ...]) -> tuple[Likelihood, tuple[str, ...]]:
        """Cox regression within the site."""
        return cox_of(plan, names, "odac"), names

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """The surrogate likelihood, its derivatives over risk sets of all sites."""
        own = cox_of(plan, names, "odac")
        across = WebDISCO(names, own.efron and not self.breslow_sums)
        return Surrogate(own, names, self.lead_number(plan.federation), across=across)
