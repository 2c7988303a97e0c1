"""What is proved of the lasso: the conditions of its optimum, and the choice of the penalty, on the pooled rows."""

from collections.abc import Callable

import numpy as np

from sim.arrays import Floats
from sim.engine.exact.base import Exact
from sim.engine.exact.lasso import LassoPath
from sim.verify.check import Check
from sim.verify.exact import FEATURES, PATIENTS, Checks, labels, x
from sim.verify.exact_one_shot import binary, log_logistic
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


def of_lasso() -> Checks:
    """Logistic regression with an L1 penalty."""
    for penalty in (0.02, 0.08):

        def optimal(entry: type[Exact], penalty: float = penalty) -> float:
            beta = binary(narrow(entry, LassoPath)(penalty=penalty)).beta
            steep, kept = slope(beta), beta[:-1] != 0
            away = np.where(
                kept, steep[:-1] - penalty * np.sign(beta[:-1]), np.maximum(np.abs(steep[:-1]) - penalty, 0)
            )
            return max(float(np.abs(away).max()), abs(float(steep[-1])))

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


CHECKS: dict[str, Callable[[], Checks]] = {"lasso": of_lasso}
