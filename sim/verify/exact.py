"""What is proved of every exact analysis: the fit by sums is that of the pooled rows, found in another way."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import approx_fprime, minimize
from torch import nn

from sim.arrays import Floats, Ints
from sim.engine.exact.base import Exact
from sim.engine.exact.cox import CoxWebDISCO
from sim.engine.exact.newton import Newton
from sim.engine.executors import InProcess, crew
from sim.engine.simulation import Estimates, Evaluation, Simulation
from sim.federation.federation import from_arrays
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.random import stream
from sim.tasks.classify import Classification
from sim.tasks.cox import Cox, Ties
from sim.tasks.poisson import Poisson
from sim.tasks.regress import Regression
from sim.tasks.task import Task
from sim.verify.check import Check
from sim.verify.trial import gap, narrow

Checks = Iterator[Check[Exact]]
PATIENTS, FEATURES = 90, 3
ASSIGNED = np.arange(PATIENTS) % 7 % 3  # site of every patient, three of unlike size
EFFECT = np.array([0.8, -0.5, 0.2])


def x() -> Floats:
    """Features of all patients; [n, P]."""
    return np.asarray(stream(0, "exact", "x").standard_normal((PATIENTS, FEATURES)))


def fit(method: Exact, task: Task, y: dict[str, Floats], features: Floats | None = None) -> Estimates:
    """What the engine finds from three sites; features [n, P], those of `x` if none are given."""
    held = x() if features is None else features
    sites = {
        f"site {site}": (held[site == ASSIGNED], {name: part[site == ASSIGNED] for name, part in y.items()})
        for site in range(3)
    }
    plan = Simulation(from_arrays(sites), task, method.roles(Roles()), Training(batch=0), Evaluation(), 50, 0)
    with crew(InProcess(), plan.job) as opened:
        *_, last = method.rounds(plan, opened)
    assert last.estimates is not None
    return last.estimates


def labels() -> Floats:
    """Outcomes that depend on the features; 0 or 1 [n]."""
    chance = 1 / (1 + np.exp(-x() @ EFFECT - 0.3))
    return np.asarray(stream(0, "exact", "y").random(PATIENTS) < chance, dtype=np.float64)


def survival() -> tuple[Floats, Floats]:
    """Times in whole months, so that some are tied, and whether the event was seen; [n], [n]."""
    draw = stream(0, "exact", "time")
    time = np.ceil(10 * draw.exponential(np.exp(-x() @ EFFECT)))
    return time, (draw.random(PATIENTS) < 0.7).astype(np.float64)


def counts() -> Floats:
    """Counts that depend on the features; [n]."""
    return np.asarray(stream(0, "exact", "count").poisson(np.exp(0.4 + x() @ EFFECT)), dtype=np.float64)


def reweighted(ridge: float, some: Ints | slice = slice(None)) -> Floats:
    """Logistic regression of some rows by iteratively reweighted least squares, intercept last; [P + 1]."""
    return logistic(x()[some], labels()[some], ridge)


def logistic(features: Floats, y: Floats, ridge: float = 0.0) -> Floats:
    """Logistic regression by iteratively reweighted least squares, intercept last; [n, P], [n] -> [P + 1]."""
    wide = np.hstack([features, np.ones((len(y), 1))])
    leash = ridge * np.diag([1.0] * features.shape[1] + [0.0])
    beta: Floats = np.zeros(wide.shape[1])
    for _ in range(30):
        eta = wide @ beta
        mu = 1 / (1 + np.exp(-eta))
        w = mu * (1 - mu)
        beta = np.asarray(np.linalg.solve((wide.T * w) @ wide + leash, (wide.T * w) @ (eta + (y - mu) / w)))
    return beta


def log_partial(beta: Floats, efron: bool, groups: list[Ints]) -> float:
    """Log partial likelihood, event by event; risk sets within each group of patients."""
    time, event = survival()
    total = 0.0
    for group in groups:
        eta, at, died = x()[group] @ beta, time[group], event[group] > 0
        for moment in np.unique(at[died]):
            dying = died & (at == moment)
            count, tied = int(dying.sum()), np.exp(eta[dying]).sum()
            for order in range(count):
                total -= np.log(np.exp(eta[at >= moment]).sum() - (order / count * tied if efron else 0.0))
            total += eta[dying].sum()
    return total


def of_newton() -> Checks:
    """Logistic regression."""
    for ridge in (0.0, 2.0):

        def error(entry: type[Exact], ridge: float = ridge) -> float:
            task = Classification(nn.Linear(FEATURES, 1, device="meta"))
            found = fit(narrow(entry, Newton)(ridge=ridge), task, {"label": labels()})
            return gap(found.beta, reweighted(ridge))

        yield Check(f"reweighted least squares on the pooled rows, ridge {ridge:g}", error, 1e-10)

    def spread(entry: type[Exact]) -> float:
        found = fit(narrow(entry, Newton)(), Classification(nn.Linear(FEATURES, 1, device="meta")), {"label": labels()})
        wide = np.hstack([x(), np.ones((PATIENTS, 1))])
        mu = 1 / (1 + np.exp(-wide @ reweighted(0.0)))
        return gap(found.covariance @ ((wide.T * (mu * (1 - mu))) @ wide), np.eye(FEATURES + 1))

    yield Check("covariance is the inverse information of the pooled rows", spread, 1e-10)

    def rates(entry: type[Exact]) -> float:
        found = fit(narrow(entry, Newton)(), Poisson(nn.Linear(FEATURES, 1, device="meta")), {"value": counts()})
        wide, beta = np.hstack([x(), np.ones((PATIENTS, 1))]), np.zeros(FEATURES + 1)
        for _ in range(30):
            mu = np.exp(wide @ beta)
            beta = np.linalg.solve((wide.T * mu) @ wide, (wide.T * mu) @ (wide @ beta + counts() / mu - 1))
        return max(gap(found.beta, beta), gap(found.covariance @ ((wide.T * mu) @ wide), np.eye(FEATURES + 1)))

    yield Check("a count: Poisson regression of the pooled rows by reweighted least squares", rates, 1e-8)

    def numbers(entry: type[Exact]) -> float:
        found = fit(
            narrow(entry, Newton)(), Regression(nn.Linear(FEATURES, 1, device="meta")), {"value": survival()[0]}
        )
        wide = np.hstack([x(), np.ones((PATIENTS, 1))])
        beta, residual, *_ = np.linalg.lstsq(wide, survival()[0])
        spread = float(residual[0]) / (PATIENTS - FEATURES - 1)
        return max(
            gap(found.beta, np.asarray(beta, dtype=np.float64)),
            gap(found.covariance @ (wide.T @ wide) / spread, np.eye(FEATURES + 1)),
        )

    yield Check("a number: least squares of the pooled rows", numbers, 1e-10)


def of_cox() -> Checks:
    """Cox regression."""
    every = [np.arange(PATIENTS)]
    sites = [np.flatnonzero(site == ASSIGNED) for site in range(3)]
    for stratified, groups, words in ((False, every, "pooled"), (True, sites, "stratified")):
        for ties in Ties:

            def slope(
                entry: type[Exact], groups: list[Ints] = groups, ties: Ties = ties, stratified: bool = stratified
            ) -> float:
                found = estimates(entry, ties, stratified)
                best = minimize(lambda beta: -log_partial(beta, ties is Ties.efron, groups), found.beta, tol=1e-10)
                return gap(found.beta, best.x)

            yield Check(f"maximum of the {words} partial likelihood, ties {ties.value}", slope, 1e-5)

            def curve(
                entry: type[Exact], groups: list[Ints] = groups, ties: Ties = ties, stratified: bool = stratified
            ) -> float:
                found = estimates(entry, ties, stratified)

                def likelihood(beta: Floats) -> float:
                    return log_partial(beta, ties is Ties.efron, groups)

                second = approx_fprime(found.beta, lambda beta: approx_fprime(beta, likelihood, 1e-5), 1e-5)
                return gap(found.covariance @ -second, np.eye(FEATURES))

            yield Check(
                f"covariance is the inverse curvature of the {words} likelihood, ties {ties.value}", curve, 1e-2
            )


def estimates(entry: type[Exact], ties: Ties, stratified: bool) -> Estimates:
    """Cox regression by the engine."""
    time, event = survival()
    task = Cox(nn.Linear(FEATURES, 1, bias=False, device="meta"), ties)
    return fit(narrow(entry, CoxWebDISCO)(stratified=stratified), task, {"time_days": time, "event": event})


CHECKS: dict[str, Callable[[], Checks]] = {"newton": of_newton, "cox_webdisco": of_cox}
