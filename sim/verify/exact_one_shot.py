"""What is proved of meta-analysis and of surrogate likelihoods: closed forms and maxima, found in another way."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import approx_fprime, minimize
from torch import nn

from sim.arrays import Floats, Ints
from sim.engine.exact.base import Exact
from sim.engine.exact.one_shot import ODAC, ODACH, ODAL, Effects, Meta
from sim.engine.simulation import Estimates
from sim.tasks.classify import Classification
from sim.tasks.cox import Cox, Ties
from sim.verify.check import Check
from sim.verify.exact import ASSIGNED, FEATURES, PATIENTS, Checks, fit, labels, log_partial, reweighted, survival, x
from sim.verify.trial import gap, narrow

SITES = [np.flatnonzero(site == ASSIGNED) for site in range(3)]
EVERY = np.arange(PATIENTS)


def binary(method: Exact) -> Estimates:
    """What the engine finds of the labels."""
    return fit(method, Classification(nn.Linear(FEATURES, 1, device="meta")), {"label": labels()})


def timed(method: Exact) -> Estimates:
    """What the engine finds of the survival times."""
    time, event = survival()
    task = Cox(nn.Linear(FEATURES, 1, bias=False, device="meta"), Ties.efron)
    return fit(method, task, {"time_days": time, "event": event})


def information(some: Ints, beta: Floats) -> Floats:
    """Information of the logistic regression of some rows, intercept last; [P + 1, P + 1]."""
    wide = np.hstack([x()[some], np.ones((len(some), 1))])
    mu = 1 / (1 + np.exp(-wide @ beta))
    return np.asarray((wide.T * (mu * (1 - mu))) @ wide)


def own() -> tuple[Floats, Floats]:
    """Logistic regressions of the single sites, and their information; [K, P + 1], [K, P + 1, P + 1]."""
    beta = np.stack([reweighted(0.0, some) for some in SITES])
    return beta, np.stack([information(some, one) for some, one in zip(SITES, beta, strict=True)])


def of_meta() -> Checks:
    """Meta-analysis of logistic regressions."""

    def fixed(entry: type[Exact]) -> float:
        beta, each = own()
        here = binary(narrow(entry, Meta)())
        total = each.sum(0)
        mean = np.linalg.solve(total, np.einsum("kij,kj->i", each, beta))
        return max(gap(here.beta, mean), gap(here.covariance @ total, np.eye(FEATURES + 1)))

    yield Check("fixed: means weighted by the sites' whole information, with its inverse as covariance", fixed, 1e-7)

    def random(entry: type[Exact]) -> float:
        beta, each = own()
        here, variance = binary(narrow(entry, Meta)(effects=Effects.random)), np.linalg.inv(each)
        worst = 0.0
        for at in range(FEATURES + 1):
            v = variance[:, at, at]
            mean = (beta[:, at] / v).sum() / (1 / v).sum()
            q = ((beta[:, at] - mean) ** 2 / v).sum()
            tau2 = max(0.0, (q - 2) / ((1 / v).sum() - (1 / v**2).sum() / (1 / v).sum()))
            w = 1 / (v + tau2)
            worst = max(worst, abs(here.beta[at] - (w * beta[:, at]).sum() / w.sum()))
            worst = max(worst, abs(here.covariance[at, at] - 1 / w.sum()), abs(here.beside["q"][at] - q))
        return float(worst)

    yield Check("random: DerSimonian and Laird, coefficient by coefficient", random, 1e-7)


Likelihood = Callable[[Floats, list[Ints]], float]  # log-likelihood of coefficients, on groups of rows


def surrogate(likelihood: Likelihood, lead: Ints, groups: list[Ints], centre: Floats, second: bool = True) -> Floats:
    """Where the lead site's surrogate likelihood is largest; derivatives by differences."""

    def derivatives(some: list[Ints]) -> tuple[Floats, Floats]:
        def gradient(beta: Floats) -> Floats:
            steps = 1e-4 * np.eye(len(beta))
            return np.array([likelihood(beta + one, some) - likelihood(beta - one, some) for one in steps]) / 2e-4

        size = sum(map(len, some))
        return gradient(centre) / size, approx_fprime(centre, gradient, 1e-5) / size

    (slope, curve), (mine, bend) = derivatives(groups), derivatives([lead])

    def loss(beta: Floats) -> float:
        away = beta - centre
        right = (slope - mine) @ away + (away @ (curve - bend) @ away / 2 if second else 0.0)
        return float(-likelihood(beta, [lead]) / len(lead) - right)

    return np.asarray(minimize(loss, centre, tol=1e-10).x)


def log_logistic(beta: Floats, groups: list[Ints]) -> float:
    """Log-likelihood of the labels; intercept last."""
    some = np.concatenate(groups)
    eta = x()[some] @ beta[:-1] + beta[-1]
    return float(labels()[some] @ eta - np.log1p(np.exp(eta)).sum())


def log_efron(beta: Floats, groups: list[Ints]) -> float:
    """Log partial likelihood within each group, ties as Efron has them."""
    return log_partial(beta, True, groups)


def weighted_mean(beta: Floats, variance: Floats) -> Floats:
    """Mean by inverse variance, coefficient by coefficient; [K, P], [K, P] -> [P]."""
    return np.asarray((beta / variance).sum(0) / (1 / variance).sum(0))


def cox_centre() -> Floats:
    """The sites' mean estimate of Cox regression; curvatures by differences."""
    beta, variance = [], []
    for some in SITES:
        best = minimize(lambda one, some=some: -log_efron(one, [some]), np.zeros(FEATURES), tol=1e-10).x

        def slope(one: Floats, some: Ints = some) -> Floats:
            return np.asarray(approx_fprime(one, lambda at: log_efron(at, [some]), 1e-6))

        beta.append(best)
        variance.append(np.diag(np.linalg.inv(-approx_fprime(best, slope, 1e-4))))
    return weighted_mean(np.stack(beta), np.stack(variance))


def of_odal() -> Checks:
    """Surrogate likelihood of logistic regression."""
    for order in (1, 2):

        def found(entry: type[Exact], order: int = order) -> float:
            beta, each = own()
            centre = weighted_mean(beta, np.diagonal(np.linalg.inv(each), axis1=1, axis2=2))
            best = surrogate(log_logistic, SITES[1], SITES, centre, order == 2)
            return gap(binary(narrow(entry, ODAL)(lead="site 1", order=order)).beta, best)

        yield Check(f"maximum of the lead site's surrogate likelihood, order {order}", found, 1e-5)

    def near(entry: type[Exact]) -> float:
        return gap(binary(narrow(entry, ODAL)()).beta, reweighted(0.0))

    yield Check("nearer to the pooled fit than a tenth of a standard error", near, 0.01)


def of_cox(kind: type[ODAC] | type[ODACH], groups: list[Ints]) -> Checks:
    """Surrogate partial likelihoods, the derivatives of all over these groups of patients."""

    def found(entry: type[Exact]) -> float:
        best = surrogate(log_efron, SITES[0], groups, cox_centre())
        return gap(timed(narrow(entry, kind)(lead="site 0")).beta, best)

    yield Check("maximum of the lead site's surrogate partial likelihood", found, 1e-5)

    def near(entry: type[Exact]) -> float:
        best = minimize(lambda beta: -log_efron(beta, groups), np.zeros(FEATURES), tol=1e-9).x
        return gap(timed(narrow(entry, kind)()).beta, best)

    yield Check("nearer to the fit that it stands for than a tenth of a standard error", near, 0.01)


CHECKS: dict[str, Callable[[], Checks]] = {
    "meta": of_meta,
    "odal": of_odal,
    "odac": lambda: of_cox(ODAC, [EVERY]),
    "odach": lambda: of_cox(ODACH, SITES),
}
