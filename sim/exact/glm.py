"""Generalised linear models of counts and numbers by Newton's method, as `newton` has that of a label."""

from dataclasses import dataclass

import numpy as np

from sim.exact.newton import Logistic, NotEstimable, inverse
from sim.exact.sums import Message, Rows, State, pack


@dataclass
class LogLinear(Logistic):
    """Poisson regression of the counts rows["y"] [n] on rows["x"] [n, P], whose last column must be ones.

    The start is the pooled mean count, which the first exchange gives: from zero a first step could overflow.
    """

    site_intercepts: bool = False

    def start(self) -> State:
        """Nothing is known."""
        return {"loglik": np.array(-np.inf)}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Log-likelihood without its constant, gradient [P] and packed negative Hessian; at first only sums."""
        if "beta" not in seen:
            return {"counted": rows["y"].sum(), "rows": np.asarray(float(len(rows["y"])))}
        x, eta = rows["x"], rows["x"] @ seen["beta"]
        with np.errstate(over="ignore"):
            mean = np.exp(eta)
        return {
            "loglik": np.asarray(rows["y"] @ eta - mean.sum()),
            "gradient": x.T @ (rows["y"] - mean),
            "hessian": pack(x.T @ (mean[:, None] * x)),
        }

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The intercept of the mean count; then as `Logistic`."""
        if "counted" not in total:
            return super().update(total, state)
        if not total["counted"]:
            raise NotEstimable("all counts are 0: there is no rate to explain. Take more patients.")
        beta = np.append(np.zeros(len(self.names) - 1), np.log(total["counted"] / total["rows"]))
        return state | {"beta": beta, "base": beta, "step": np.zeros_like(beta)}, False


@dataclass
class LeastSquares(Logistic):
    """Linear regression of rows["y"] [n] on rows["x"] [n, P], whose last column must be ones; one step is exact.

    Covariance `s2 (X'X)^-1`, with s2 the sum of squared residuals over n - P; a second exchange gives the residuals.
    """

    site_intercepts: bool = False

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Minus half the squared residuals, its gradient [P], packed negative Hessian, and the number of rows."""
        x, residual = rows["x"], rows["y"] - rows["x"] @ seen["beta"]
        return {
            "loglik": np.asarray(-residual @ residual / 2),
            "gradient": x.T @ residual,
            "hessian": pack(x.T @ x),
            "rows": np.asarray(float(len(x))),
        }

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The exact step; after it the residual variance, with a step that mends rounding alone."""
        here = self.derivatives(total, state["beta"])
        inner = inverse(here.curvature, self.names)
        step = inner @ here.gradient
        left = float(total["rows"]) - len(self.names)  # degrees of freedom
        if left < 1:
            raise NotEstimable(
                f"{total['rows']:.0f} patients for {len(self.names)} coefficients leave nothing to judge errors by. "
                "Leave columns out, or take more patients."
            )
        spread = -2 * total["loglik"] / left
        new = {"beta": state["beta"] + step, "step": step, "covariance": inner * spread, "loglik": total["loglik"]}
        return new, bool(np.isfinite(state["loglik"]))
