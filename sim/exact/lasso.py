"""Lasso by sums: the penalised fit of the pooled rows along a path of penalties.

P features and, last, an intercept; Q = (P + 1)(P + 2) / 2 numbers of a symmetric matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Floats
from sim.exact.sums import Message, Rows, State, SumProtocol, unpack

STEP = 1e-9  # largest change of a coefficient at which a fit has converged
SWEEPS = 2000  # of coordinate descent at the server, at most
CLOSE = 1e-13  # change of a coefficient in the last sweep


@dataclass
class Lasso(SumProtocol):
    """Proximal Newton on summed gradients and curvatures; Lee, Sun and Saunders, SIAM J. Optim. 2014.

    Minimises `-loglik / n + penalty |beta|_1`, intercept excepted. The server solves each quadratic approximation by
    coordinate descent (Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010). The first fit is that of the intercept
    alone, whose gradient gives the smallest penalty that excludes all features; the path decreases from there.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta",)
    likelihood: SumProtocol  # answers log-likelihood, gradient and packed curvature
    names: Sequence[str]  # [P + 1]
    penalty: float = 0.0  # the only one, > 0; 0 = `steps` of them, of which the BIC chooses
    steps: int = 10
    ratio: float = 0.01  # of the last penalty to the first

    def start(self) -> State:
        """All coefficients zero, and a penalty without limit."""
        zero = np.zeros(len(self.names))
        first = {"penalty": np.array(np.inf), "objective": np.array(np.inf), "bic": np.array(np.inf)}
        return {"beta": zero, "base": zero, "step": zero, "at": np.array(-1), **first}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Log-likelihood, gradient [P + 1], packed curvature [Q], and the number of patients."""
        loglik, gradient, curvature = self.likelihood.statistics(rows, {"beta": seen["beta"]}).values()
        size = np.asarray(float(len(rows["x"])))
        return {"loglik": loglik, "gradient": gradient, "curvature": curvature, "rows": size}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """A proximal Newton step, half the last one where that made it worse, or the next penalty."""
        n, penalty, beta = float(total["rows"]), float(state["penalty"]), state["beta"]
        size = float(np.abs(beta[:-1]).sum())
        objective = -float(total["loglik"]) / n + (penalty * size if size else 0.0)
        before = float(state["objective"])
        if objective > before + 1e-12 * abs(before):
            step = state["step"] / 2
            return state | {"beta": state["base"] + step, "step": step}, False
        gradient, curvature = total["gradient"] / n, unpack(total["curvature"]) / n
        step = descent(gradient, curvature, beta, penalty) - beta
        new = state | {"base": beta, "beta": beta + step, "step": step, "objective": np.array(objective)}
        if np.abs(step).max() > STEP:
            return new, False
        return self.onwards(total, new)

    def onwards(self, total: Message, state: State) -> tuple[State, bool]:
        """The next penalty after a fit, which is kept where its BIC is the least so far; at the end the best fit."""
        n, beta, at = float(total["rows"]), state["base"], int(state["at"])
        if at < 0:
            first = float(np.abs(total["gradient"][:-1]).max()) / n
            state = state | {"first": np.array(first)}
        else:
            bic = float(-2 * total["loglik"] + np.log(n) * (beta[:-1] != 0).sum())
            if bic < state["bic"]:
                state = state | {"bic": np.array(bic), "best": beta, "chosen": state["penalty"]}
        if at + 1 == (1 if self.penalty else self.steps):
            blank = np.full((len(beta), len(beta)), np.nan)
            return state | {"beta": state["best"], "covariance": blank}, True
        share = (at + 1) / max(self.steps - 1, 1)
        penalty = self.penalty or float(state["first"]) * self.ratio**share
        return state | {"penalty": np.array(penalty), "at": np.array(at + 1), "objective": np.array(np.inf)}, False


def descent(gradient: Floats, curvature: Floats, beta: Floats, penalty: float) -> Floats:
    """Least of a quadratic about beta, `-g d + d' H d / 2`, plus the penalty on all but the last; [P], [P, P]."""
    new, slope = beta.copy(), gradient.copy()  # slope of the log-likelihood at `new`
    for _ in range(SWEEPS):
        largest = 0.0
        for at in range(len(beta)):
            bend = curvature[at, at]
            if bend <= 0:
                continue
            reach = slope[at] + bend * new[at]
            limit = penalty if at < len(beta) - 1 else 0.0
            value = float(np.sign(reach) * max(abs(reach) - limit, 0.0) / bend)
            if value != new[at]:
                slope -= curvature[:, at] * (value - new[at])
                largest = max(largest, abs(value - new[at]))
                new[at] = value
        if largest <= CLOSE:
            break
    return new
