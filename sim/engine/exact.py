"""Exact analyses as methods: sites answer with sums over training rows, and the fit is that of the pooled rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Ints
from sim.checks import Refused, within
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.scoring import scored
from sim.engine.simulation import Estimates, Round, Simulation
from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.newton import Logistic
from sim.exact.sums import Message, OnColumns, Rows, State, SumProtocol, exchanges
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.methods.roles import Roles
from sim.tasks.classify import Classification
from sim.tasks.cox import Cox, Ties

INTERCEPT = "(intercept)"


@dataclass
class Exact(OwnLoop):
    """A generalised linear or proportional-hazards fit by sums; every exchange of messages is a round."""

    trains = False
    axes: ClassVar[frozenset[str]] = frozenset({"system"})  # its links and latency; all sites answer

    def roles(self, beside: Roles) -> Roles:
        """The clock alone: nothing is trained."""
        return Roles(system=beside.system, weighting=beside.weighting)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """What sites and server do, on features of these names. Refuses a task whose fit it is not."""
        raise NotImplementedError

    def fits(self, plan: Simulation) -> None:
        """Refuse a task or network that the fit is not for, and sites that do not all answer."""
        self.protocol(plan, plan.federation.features)
        shapes = [list(shape) for shape in plan.task.layout.shapes]
        if shapes[0] != [1, len(plan.federation.features)] or len(shapes) > 2:
            raise Refused("An exact analysis fits one coefficient per feature. Set net=linear.")
        system = plan.roles.system
        if system.dropout or system.sites not in (0, len(plan.federation.members)):
            raise Refused("An exact analysis needs the sums of all sites. Set system.dropout=0 and system.sites=0.")

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """One round per exchange, the last with the estimates. Refuses more exchanges than `rounds`."""
        self.fits(plan)
        columns, members = varying(plan.federation), plan.federation.members
        names = tuple(plan.federation.features[at] for at in columns)
        analysis = OnColumns(self.protocol(plan, names), columns)
        x, seconds, system = torch.zeros(plan.task.layout.size, dtype=plan.dtype), 0.0, plan.roles.system
        yield scored(plan, crew, Round(0, x))
        going = exchanges(analysis, lambda seen: crew.answers(analysis, seen, members), plan.rounds)
        for number, here in enumerate(going, 1):
            new = model(here.state, columns, x)
            slowest = max(here.bytes_up, default=0) + here.bytes_down
            seconds += 2 * system.latency_seconds + 8e-6 * slowest / system.mbps
            done = Round(
                number,
                new,
                seconds=seconds,
                bytes_down=here.bytes_down * len(members),
                bytes_up=sum(here.bytes_up),
                sites=len(members),
                step_norm=float((new - x).double().norm()),
                estimates=estimates(here.state, names) if here.done else None,
            )
            x = new
            yield scored(plan, crew, done) if here.done else done


def varying(federation: Federation) -> Ints:
    """Features that are not the same in all training rows; a feature that is has no coefficient."""
    low, high = np.full(len(federation.features), np.inf), np.full(len(federation.features), -np.inf)
    for first, end, *_ in federation.bounds[federation.members]:
        low, high = np.minimum(low, federation.x[first:end].min(0)), np.maximum(high, federation.x[first:end].max(0))
    return np.flatnonzero(high > low)


def model(state: State, columns: Ints, x: Tensor) -> Tensor:
    """The coefficients as the task's parameters, 0 of features left out; before there are any, those of the last round.

    The intercept is the last in both.
    """
    if "beta" not in state:
        return x
    new, beta = torch.zeros_like(x), torch.from_numpy(state["beta"]).to(x.dtype)
    new[torch.from_numpy(columns)] = beta[: len(columns)]
    if len(beta) > len(columns):
        new[-1] = beta[-1]
    return new


def estimates(state: State, names: tuple[str, ...]) -> Estimates:
    """Coefficients per standardised feature with their covariances."""
    every = (*names, INTERCEPT)[: len(state["beta"])]
    return Estimates(every, state["beta"], state["covariance"], state.get("robust"))


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
        """Logistic regression with one intercept."""
        if not isinstance(plan.task, Classification):
            raise Refused(
                f"algorithm=newton fits a yes-or-no outcome, and the task is {type(plan.task).__name__}. "
                "Take a task such as response or mortality, or algorithm=cox_webdisco for a survival time."
            )
        return Intercepted((*names, INTERCEPT), site_intercepts=False, ridge=self.ridge)


@dataclass
class Intercepted(Logistic):
    """Logistic regression on the training rows as the engine holds them, with a column of ones at the end."""

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Those of `Logistic`."""
        ones = np.ones((len(rows["x"]), 1))
        return super().statistics({"x": np.hstack([rows["x"], ones]), "y": rows["label"]}, seen)


@dataclass
class CoxWebDISCO(Exact):
    """Cox regression on one baseline hazard by sums over risk sets: the fit of the pooled rows.

    Standard errors are those of the information matrix, and beside them the robust ones of the sandwich.

    Source: Lu et al., WebDISCO: a web service for distributed Cox model learning without patient-level data sharing,
    JAMIA 2015; robust variance: Lin and Wei, JASA 1989.
    Rule: sites send their event times, then for each of them `S0 = sum exp(x beta)` over patients at risk, `S1` and
    `S2` with x and x x'; `beta <- beta + I^-1 U`.
    Values: `stratified=true` keeps a baseline hazard for every site and sends no event times.
    Pitfalls: the local partial likelihoods of sites do not add up to the pooled one; event times and sums over few
    patients at risk leave a site.
    """

    stratified: bool = False  # whether every site has a baseline hazard of its own, so that no event time leaves it

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """Newton's method on either likelihood, ties as `task.ties` has them."""
        if not isinstance(plan.task, Cox):
            raise Refused(f"algorithm=cox_webdisco fits a survival time, not {type(plan.task).__name__}. Set task=cox.")
        kind = StratifiedCox if self.stratified else WebDISCO
        return kind(names, plan.task.ties is Ties.efron)


EXACT: dict[str, type[Exact]] = {"newton": Newton, "cox_webdisco": CoxWebDISCO}
