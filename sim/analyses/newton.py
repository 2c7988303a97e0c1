"""Newton's method on summed gradients and Hessians: a logistic regression that equals the one on pooled rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg.lapack import dpotrf
from scipy.special import expit, logit

from sim.analyses.sums import Exact, Message, Rows, State, Wire, pack, solve, unpack
from sim.arrays import Floats
from sim.checks import Refused

SETTLED = 1e-12  # Newton decrement g' H^-1 g, in squared standard errors: the last step leaves an error of its square
MOST_STEPS = 60  # of the search for an intercept; five or six are usual, halving alone needs 50
ALIKE = 1e-9  # share of a column's information that the columns before it leave, below which it says nothing new


class NotEstimable(Refused):
    """The data do not determine an effect."""


@dataclass
class Logistic(Exact):
    """Logistic regression of rows["y"] [n] on rows["x"] [n, P].

    With `own`, every site has an intercept of its own. The site solves it for the coefficients it is sent and answers
    with gradient and Hessian of the profile likelihood, so that the intercept never leaves it, sites are compared
    with themselves only, and the answer is that of pooled rows with an indicator a site. A site where all patients
    had one outcome then has nothing to say. Wu et al., GLORE, JAMIA 2012; profile likelihood: Murphy and van der
    Vaart, JASA 2000.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta",)
    names: Sequence[str]  # of the columns of x, for messages
    own: bool = True  # an intercept a site; else x must hold a column of ones

    def start(self) -> State:
        """All effects zero."""
        zero = np.zeros(len(self.names))
        return {"beta": zero, "base": zero, "step": zero, "loglik": np.array(-np.inf)}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Log-likelihood, its gradient and the triangle of its negative Hessian."""
        here = fitted(rows, seen["beta"], self.own)
        x = rows["x"]
        if here is None:
            return {
                "loglik": np.zeros(()),
                "gradient": np.zeros(x.shape[1]),
                "hessian": pack(np.zeros((x.shape[1],) * 2)),
            }
        eta, spread = here
        loglik = rows["y"] @ eta - np.logaddexp(0, eta).sum()
        inner = centred(x, spread) if self.own else x
        gradient = x.T @ (rows["y"] - expit(eta))
        return {
            "loglik": np.asarray(loglik),
            "gradient": gradient,
            "hessian": pack(inner.T @ (spread[:, None] * inner)),
        }

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """Newton's step; half of the last one again if it made the likelihood worse."""
        before = float(state["loglik"])
        if total["loglik"] < before - 1e-9 * abs(before):
            step = state["step"] / 2
            return state | {"beta": state["base"] + step, "step": step}, False
        hessian = unpack(total["hessian"])
        covariance = inverse(hessian, self.names)
        step = covariance @ total["gradient"]
        new = {"base": state["beta"], "beta": state["beta"] + step, "step": step, "loglik": total["loglik"]}
        return new | {"covariance": covariance}, bool(total["gradient"] @ step <= SETTLED)


def fitted(rows: Rows, beta: Floats, own: bool) -> tuple[Floats, Floats] | None:
    """Logit [n] of every patient, and its information, the variance [n]; None where the site says nothing."""
    eta, share = rows["x"] @ beta, float(rows["y"].mean())
    if own:
        if not 0 < share < 1:
            return None
        eta = eta + intercept(eta, share)
    chance = expit(eta)
    return eta, chance * (1 - chance)


def intercept(eta: Floats, share: float) -> float:
    """The intercept at which a site's expected share of events is the observed one; eta [n] is the rest of the logit.

    Newton's method, kept between bounds that hold the answer.
    """
    middle = float(logit(share))
    low, high = middle - float(eta.max()), middle - float(eta.min())
    at = middle - float(eta.mean())
    for _ in range(MOST_STEPS):
        chance = expit(eta + at)
        excess = float(chance.mean()) - share
        low, high = (low, at) if excess > 0 else (at, high)
        slope = float((chance * (1 - chance)).mean())
        new = at - excess / slope if slope > 0 else low
        new = new if low <= new <= high else (low + high) / 2
        if abs(new - at) <= 1e-15 * max(1.0, abs(at)):
            return new
        at = new
    return at


def centred(x: Floats, spread: Floats) -> Floats:
    """Columns less their weighted mean: what an intercept of the site's own leaves of them; [n, P]."""
    return np.asarray(x - (spread @ x) / max(spread.sum(), np.finfo(float).tiny))


def inverse(hessian: Floats, names: Sequence[str]) -> Floats:
    """Inverse of a positive definite matrix; refuses, by name, a column that the others determine."""
    scale = np.sqrt(np.diag(hessian))
    if (scale <= ALIKE * scale.max(initial=0.0)).any():  # columns are of like scale; less than this is rounding
        raise NotEstimable(
            f"column {names[int(np.argmin(scale))]!r} is the same in all patients of every site. Leave it out."
        )
    factor, failed = dpotrf(hessian / np.outer(scale, scale), lower=1, clean=1)
    weak = np.diag(factor) ** 2 < ALIKE
    if failed or weak.any():
        at = failed - 1 if failed else int(np.argmax(weak))
        raise NotEstimable(
            f"column {names[at]!r} cannot be told from the columns before it: it repeats them, or the patients with it "
            "all had one outcome. Leave it out, merge rare categories, or take more patients."
        )
    root = np.linalg.inv(factor) / scale  # LAPACK's own dpotri takes a millisecond for its threads
    return np.asarray(root.T @ root)


def varying(x: Floats) -> list[int]:
    """Columns that say something at this site beyond an intercept and the columns before them, in order."""
    inner = x - x.mean(0)
    keep: list[int] = []
    left = inner.copy()
    for at in range(x.shape[1]):
        length = float(np.linalg.norm(left[:, at]))
        if length <= 1e-6 * max(float(np.linalg.norm(inner[:, at])), 1e-6):
            continue
        keep.append(at)
        direction = left[:, at] / length
        left = left - np.outer(direction, direction @ left)
    return keep


@dataclass(frozen=True)
class Fit:
    """A fitted regression: coefficients [P], their covariance [P, P], and what crossed the wire."""

    names: tuple[str, ...]
    beta: Floats
    covariance: Floats
    wire: Wire

    def of(self, name: str) -> tuple[float, float]:
        """Coefficient and standard error of a column."""
        at = self.names.index(name)
        return float(self.beta[at]), float(np.sqrt(self.covariance[at, at]))


def fit(names: Sequence[str], sites: Sequence[Rows], own: bool = True) -> Fit:
    """Maximum likelihood over the rows of all sites."""
    state, wire = solve(Logistic(names, own), sites)
    return Fit(tuple(names), state["beta"], state["covariance"], wire)
