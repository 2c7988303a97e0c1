"""What is proved of the lasso: the conditions of its optimum, and the choice of the penalty, on the pooled rows."""

from collections.abc import Callable

import numpy as np

from sim.arrays import Floats, Ints
from sim.engine.exact.base import Exact
from sim.engine.exact.lasso import LassoPath
from sim.verify.check import Check
from sim.verify.exact import FEATURES, PATIENTS, Checks, labels, survival, x
from sim.verify.exact_one_shot import SITES, binary, log_efron, log_logistic, timed
from sim.verify.trial import gap, narrow

EVERY = [np.arange(PATIENTS)]


def slope(beta: Floats) -> Floats:
    """Gradient of the mean log-likelihood, intercept last; [P + 1]."""
    wide = np.hstack([x(), np.ones((PATIENTS, 1))])
    return np.asarray(wide.T @ (labels() - 1 / (1 + np.exp(-wide @ beta)))) / PATIENTS


def thresholded(penalty: float, beta: Floats) -> Floats:
    """The lasso by iterated soft thresholding from beta; Daubechies, Defrise and De Mol, 2004; [P + 1]."""
    wide = np.hstack([x(), np.ones((PATIENTS, 1))])
    rate = 4 * PATIENTS / np.linalg.norm(wide, 2) ** 2
    limit = rate * penalty * np.append(np.ones(FEATURES), 0.0)
    for _ in range(2000):
        moved = beta + rate * slope(beta)
        beta = np.sign(moved) * np.maximum(np.abs(moved) - limit, 0.0)
    return beta


def breach(beta: Floats, steep: Floats, penalty: float) -> float:
    """How far penalised coefficients are from the conditions of Karush, Kuhn and Tucker; [P], [P].

    The derivative of the mean log-likelihood is the penalty with the sign of a coefficient, or within it at 0.
    """
    outside = np.maximum(np.abs(steep) - penalty, 0)
    return float(np.abs(np.where(beta != 0, steep - penalty * np.sign(beta), outside)).max())


def at_risk() -> Floats:
    """How far every patient counts as at risk in each death, ties as Efron has them; [D, n]."""
    time, event = survival()
    under = []
    for moment in np.unique(time[event > 0]):
        dying = (time == moment) & (event > 0)
        under += [(time >= moment) - share * dying for share in np.arange(dying.sum()) / dying.sum()]
    return np.array(under)


def steep_partial(beta: Floats, under: Floats) -> Floats:
    """Gradient of the mean log partial likelihood; [P], [D, n] -> [P]."""
    weight = under * np.exp(x() @ beta)
    return np.asarray(survival()[1] @ x() - (weight @ x() / weight.sum(1, keepdims=True)).sum(0)) / PATIENTS


def of_lasso() -> Checks:
    """Regression with an L1 penalty."""
    for penalty in (0.02, 0.08):

        def optimal(entry: type[Exact], penalty: float = penalty) -> float:
            beta = binary(narrow(entry, LassoPath)(penalty=penalty)).beta
            steep = slope(beta)
            return max(breach(beta[:-1], steep[:-1], penalty), abs(float(steep[-1])))

        yield Check(f"conditions of Karush, Kuhn and Tucker, penalty {penalty:g}", optimal, 1e-9)

    def chosen(entry: type[Exact]) -> float:
        beta = np.append(np.zeros(FEATURES), np.log(labels().mean() / (1 - labels().mean())))
        first, least, best = float(np.abs(slope(beta)[:-1]).max()), np.inf, beta
        for penalty in first * np.geomspace(1, 0.01, 5):
            beta = thresholded(penalty, beta)
            bic = -2 * log_logistic(beta, EVERY) + np.log(PATIENTS) * (np.abs(beta[:-1]) > 1e-9).sum()
            if bic < least:
                least, best = bic, beta
        return gap(binary(narrow(entry, LassoPath)(steps=5)).beta, best)

    yield Check("the least BIC of a path by soft thresholding", chosen, 1e-6)

    for stratified, groups, words in ((False, EVERY, "pooled"), (True, SITES, "stratified")):

        def partial(entry: type[Exact], stratified: bool = stratified, groups: list[Ints] = groups) -> float:
            beta = timed(narrow(entry, LassoPath)(penalty=0.05, stratified=stratified)).beta
            ways = 1e-5 * np.eye(FEATURES)
            ends = [log_efron(beta + way, groups) - log_efron(beta - way, groups) for way in ways]
            return breach(beta, np.array(ends) / 2e-5 / PATIENTS, 0.05)

        yield Check(f"the same of the {words} partial likelihood, penalty 0.05", partial, 1e-7)

    def events(entry: type[Exact]) -> float:
        """The least BIC of Cox regressions, each by iterated soft thresholding."""
        found, event = timed(narrow(entry, LassoPath)(steps=5)).beta, survival()[1].sum()
        beta, under = np.zeros(FEATURES), at_risk()
        first, least, best = float(np.abs(steep_partial(beta, under)).max()), np.inf, beta
        for penalty in first * np.geomspace(1, 0.01, 5):
            for _ in range(150):
                moved = beta + steep_partial(beta, under)
                beta = np.sign(moved) * np.maximum(np.abs(moved) - penalty, 0.0)
            bic = -2 * log_efron(beta, EVERY) + np.log(event) * (np.abs(beta) > 1e-7).sum()
            if bic < least:
                least, best = bic, beta
        return gap(found, best)

    yield Check("the least BIC of a path of Cox regressions by soft thresholding", events, 1e-5)


CHECKS: dict[str, Callable[[], Checks]] = {"lasso": of_lasso}
