"""Two ridge regressions by Newton's method: logistic for yes or no, Cox for a time (Breslow's ties)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats

RIDGE = 1.0  # penalty on the squared coefficients of standardised columns, beside the summed loss

Flags = NDArray[np.bool_]


def fit(x: Floats, event: Flags) -> Floats:
    """Coefficients [D] of a logistic regression of `event` [n] on x [n, D] with a ridge, without the intercept."""
    x = np.column_stack([np.ones(len(x)), x])
    penalty = np.r_[0.0, np.full(x.shape[1] - 1, RIDGE)]

    def loss(w: Floats) -> float:
        z = x @ w
        return float(np.logaddexp(0.0, z).sum() - z[event].sum() + penalty @ w**2 / 2)

    def slope(w: Floats) -> tuple[Floats, Floats]:
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        return x.T @ (p - event) + penalty * w, (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)

    return newton(np.zeros(x.shape[1]), loss, slope)[1:]


def fit_cox(x: Floats, time: Floats, event: Flags) -> Floats:
    """Coefficients [D] of Cox's partial likelihood with a ridge; x [n, D], time [n], event [n]."""
    order = np.argsort(-time, kind="stable")  # the longest first: those at risk with row i are rows 0 .. last[i]
    x, time, event = x[order], time[order], event[order]
    last = np.searchsorted(-time, -time, side="right") - 1

    def risk(w: Floats) -> tuple[Floats, Floats, Floats]:
        z = np.clip(x @ w, -30, 30)
        return z, np.exp(z), np.cumsum(np.exp(z))[last]

    def loss(w: Floats) -> float:
        z, _, total = risk(w)
        return float((np.log(total) - z)[event].sum() + RIDGE * w @ w / 2)

    def slope(w: Floats) -> tuple[Floats, Floats]:
        _, each, total = risk(w)
        mean = (np.cumsum(each[:, None] * x, axis=0)[last] / total[:, None])[event]
        share = np.bincount(last[event], 1 / total[event], len(x))
        weight = each * np.cumsum(share[::-1])[::-1]  # of row j in all the risk sets that it is in
        curvature = (x * weight[:, None]).T @ x - mean.T @ mean
        return (mean - x[event]).sum(0) + RIDGE * w, curvature + RIDGE * np.eye(len(w))

    return newton(np.zeros(x.shape[1]), loss, slope)


def newton(w: Floats, loss: Callable[[Floats], float], slope: Callable[[Floats], tuple[Floats, Floats]]) -> Floats:
    """Minimum [D] of a convex loss by Newton's method; `slope` gives gradient [D] and Hessian [D, D].

    A step that would increase the loss is halved.
    """
    for _ in range(50):
        gradient, curvature = slope(w)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(w)), gradient)
        size = 1.0
        while loss(w - size * step) > loss(w) and size > 1e-6:
            size /= 2
        w = w - size * step
        if np.abs(step).max() < 1e-8:
            break
    return w
