"""Lasso by sums: the penalised fit of the pooled rows along a path of penalties.

P coefficients, of which the first `penalised` are under the penalty and others, such as an intercept, are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import Floats
from sim.exact.newton import NotEstimable, halved, worse
from sim.exact.sums import Likelihood, Message, Rows, State, SumProtocol

STEP = 1e-9  # largest change of a coefficient at which a fit has converged
SWEEPS = 2000  # of coordinate descent at the server, at most
CLOSE = 1e-13  # change of a coefficient in the last sweep


@dataclass
class Lasso(SumProtocol):
    """Proximal Newton on summed gradients and curvatures; Lee, Sun and Saunders, SIAM J. Optim. 2014.

    Minimises `-loglik / n + penalty |beta|_1`, n patients. The server solves each quadratic approximation by coordinate
    descent (Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010; of a partial likelihood: Simon, Friedman, Hastie and
    Tibshirani, J. Stat. Softw. 2011, here with the whole curvature and not its diagonal). The first fit has no
    penalised coefficient; its gradient gives the least penalty that leaves none in, and from there the path goes down.
    """

    likelihood: Likelihood
    names: Sequence[str]  # [P]
    penalised: int  # number of coefficients under the penalty, the first ones
    penalty: float = 0.0  # the only one, > 0; 0 = `steps` of them, of which the BIC chooses
    steps: int = 10
    ratio: float = 0.01  # of the last penalty to the first

    def start(self) -> State:
        """That of the likelihood, and a penalty without limit."""
        return self.likelihood.start() | {
            "loglik": np.array(-np.inf),
            "penalty": np.array(np.inf),
            "bic": np.array(np.inf),
            "at": np.array(-1),
        }

    def sent(self, state: State) -> State:
        """That of the likelihood."""
        return self.likelihood.sent(state)

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Those of the likelihood; the number of patients, and what the BIC counts."""
        count = {"rows": np.asarray(float(len(rows["x"]))), "units": np.asarray(self.likelihood.units(rows))}
        return self.likelihood.statistics(rows, seen) | count

    def total(self, messages: Sequence[Message]) -> Message:
        """That of the likelihood."""
        return self.likelihood.total(messages)

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """A proximal Newton step, half the last one where that made it worse, or the next penalty."""
        if "beta" not in state:
            opened, _ = self.likelihood.update(total, state)
            return state | opened, False
        beta, n = state["beta"], float(total["rows"])
        if not total["units"]:
            raise NotEstimable("no event at any site: there is nothing to choose features by. Take more patients.")
        here = self.likelihood.derivatives(total, beta)
        limit = np.where(np.arange(len(beta)) < self.penalised, state["penalty"], 0.0)
        size = n * float(limit @ np.abs(beta)) if beta[: self.penalised].any() else 0.0
        if worse(here.loglik - size, state):
            return halved(state), False
        step = descent(here.gradient / n, here.curvature / n, beta, limit) - beta
        new = {"base": beta, "beta": beta + step, "step": step, "loglik": np.asarray(here.loglik - size)}
        if np.abs(step).max() > STEP:
            return state | new, False
        gradient = np.abs(here.gradient[: self.penalised]) / n
        return self.onwards(state | new, here.loglik, float(gradient.max()), float(total["units"]))

    def onwards(self, state: State, loglik: float, slope: float, units: float) -> tuple[State, bool]:
        """The next penalty after a fit, which is kept where its BIC is the least so far; at the end the best fit.

        `slope` is the largest derivative by a penalised coefficient, per patient.
        """
        beta, at = state["base"], int(state["at"])
        if at < 0:
            state = state | {"first": np.array(slope)}
        else:
            bic = float(-2 * loglik + np.log(units) * (beta[: self.penalised] != 0).sum())
            if bic < state["bic"]:
                state = state | {"bic": np.array(bic), "best": beta, "chosen": state["penalty"]}
        if at + 1 == (1 if self.penalty else self.steps):
            blank = np.full((len(beta), len(beta)), np.nan)
            return state | {"beta": state["best"], "covariance": blank}, True
        share = (at + 1) / max(self.steps - 1, 1)
        penalty = self.penalty or float(state["first"]) * self.ratio**share
        return state | {"penalty": np.array(penalty), "at": np.array(at + 1), "loglik": np.array(-np.inf)}, False


def descent(gradient: Floats, curvature: Floats, beta: Floats, limit: Floats) -> Floats:
    """Least of a quadratic about beta, `-g d + d' H d / 2`, plus `limit |beta|`; [P], [P, P], [P], [P] -> [P]."""
    new, slope = beta.copy(), gradient.copy()  # slope of the log-likelihood at `new`
    for _ in range(SWEEPS):
        largest = 0.0
        for at in range(len(beta)):
            bend = curvature[at, at]
            if bend <= 0:
                continue
            reach = slope[at] + bend * new[at]
            value = float(np.sign(reach) * max(abs(reach) - limit[at], 0.0) / bend)
            if value != new[at]:
                slope -= curvature[:, at] * (value - new[at])
                largest = max(largest, abs(value - new[at]))
                new[at] = value
        if largest <= CLOSE:
            break
    return new
