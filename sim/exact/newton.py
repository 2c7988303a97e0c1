"""Newton's method on summed gradients and Hessians: a logistic regression that equals the one on pooled rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from sim.arrays import Floats
from sim.checks import Refused
from sim.exact.sums import Derivatives, Likelihood, Message, Rows, State, Traffic, pack, solve, unpack

INTERCEPT = "(intercept)"
CONVERGED = 1e-12  # Newton decrement g' H^-1 g, in squared standard errors: the last step leaves an error of its square
RUNAWAY = 1e-3  # last step of a coefficient, per unit of its feature, of a fit that has no maximum and goes on
MAX_STEPS = 60  # of the search for an intercept; five or six are usual, halving alone needs 50
COLLINEAR = 1e-9  # share of a column's information that the columns before it leave, below which it depends on them


class NotEstimable(Refused):
    """Raised where the data do not determine an effect."""


@dataclass
class Logistic(Likelihood):
    """Logistic regression of rows["y"] [n] on rows["x"] [n, P].

    With `site_intercepts`, every site has an intercept of its own. It solves for it, given the coefficients it is sent,
    and answers with gradient and Hessian of the profile likelihood. The intercept never leaves the site, patients are
    compared within sites only, and the answer is that of pooled rows with one indicator per site. A site where all
    patients had the same outcome then contributes nothing. Wu et al., GLORE, JAMIA 2012; profile likelihood: Murphy and
    van der Vaart, JASA 2000.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta",)
    names: Sequence[str]  # [P] of the columns of x, for refusals
    site_intercepts: bool = True  # one intercept per site; without them the last column of x must be ones
    ridge: float = 0.0  # weight of ridge/2 |beta|^2; the column of ones is left out of it

    def start(self) -> State:
        """All effects zero."""
        zero = np.zeros(len(self.names))
        return {"beta": zero, "base": zero, "step": zero, "loglik": np.array(-np.inf)}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Log-likelihood, its gradient [P] and the upper triangle [P (P + 1) / 2] of its negative Hessian."""
        here = fitted(rows, seen["beta"], self.site_intercepts)
        x = rows["x"]
        if here is None:
            return {
                "loglik": np.zeros(()),
                "gradient": np.zeros(x.shape[1]),
                "hessian": pack(np.zeros((x.shape[1],) * 2)),
            }
        eta, spread = here
        loglik = rows["y"] @ eta - np.logaddexp(0, eta).sum()
        inner = centred(x, spread) if self.site_intercepts else x
        gradient = x.T @ (rows["y"] - scipy.special.expit(eta))
        return {
            "loglik": np.asarray(loglik),
            "gradient": gradient,
            "hessian": pack(inner.T @ (spread[:, None] * inner)),
        }

    def derivatives(self, total: Message, beta: Floats) -> Derivatives:
        """Those of the penalised likelihood."""
        leash = np.full(len(self.names), self.ridge)
        if not self.site_intercepts:
            leash[-1] = 0.0
        loglik = float(total["loglik"] - leash @ beta**2 / 2)
        return Derivatives(loglik, total["gradient"] - leash * beta, unpack(total["hessian"]) + np.diag(leash))

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """A Newton step from the last coefficients; half the last step instead if that made the likelihood worse."""
        return ascent(self.derivatives(total, state["beta"]), state, self.names)


def ascent(here: Derivatives, state: State, names: Sequence[str]) -> tuple[State, bool]:
    """A step of Newton's method from "beta" [P] of the state, and whether that was the maximum already.

    Half the last step instead if that made the likelihood worse. A coefficient without a limit is
    left to the caller, see `refuse_runaway`: the others have theirs.
    """
    if worse(here.loglik, state):
        return halved(state), False
    try:
        covariance = inverse(here.curvature, names)
    except NotEstimable:
        refuse_runaway(state["step"], names)
        raise
    step = covariance @ here.gradient
    new = {"base": state["beta"], "beta": state["beta"] + step, "step": step, "loglik": np.asarray(here.loglik)}
    return state | new | {"covariance": covariance}, bool(here.gradient @ step <= CONVERGED)


def refuse_runaway(step: Floats, names: Sequence[str]) -> None:
    """Refuse a last step [P] that is long; see `runaway`."""
    if column := runaway(step, names):
        raise NotEstimable(
            f"column {column!r} tells the outcomes apart, alone or with others: the likelihood has no maximum, and the "
            "coefficient no limit. Leave it out, merge rare categories, or take a fit with a penalty: algorithm=lasso, "
            "or for a label or a count algorithm=newton algorithm.ridge=1."
        )


def runaway(step: Floats, names: Sequence[str]) -> str:
    """Name of the longest entry of a last step [P], other than the intercept's, where it is long; else empty.

    With separated outcomes the likelihood has no maximum, and Newton's steps stay as long as they are; Albert and
    Anderson, Biometrika 1984.
    """
    steps = np.where([name == INTERCEPT for name in names], 0.0, np.abs(step))
    return names[int(np.argmax(steps))] if steps.max(initial=0.0) > RUNAWAY else ""


def worse(loglik: float, state: State) -> bool:
    """Whether the likelihood is below that of the step before, by more than rounding."""
    before = float(state["loglik"])
    return loglik < before - 1e-9 * abs(before)


def halved(state: State) -> State:
    """The state with half the last step, from where that began."""
    step = state["step"] / 2
    return state | {"beta": state["base"] + step, "step": step}


def fitted(rows: Rows, beta: Floats, site_intercept: bool) -> tuple[Floats, Floats] | None:
    """Logit [n] of every patient and its information `p (1 - p)` [n]; None where the site contributes nothing."""
    eta, share = rows["x"] @ beta, float(rows["y"].mean())
    if site_intercept:
        if not 0 < share < 1:
            return None
        eta = eta + intercept(eta, share)
    chance = scipy.special.expit(eta)
    return eta, chance * (1 - chance)


def intercept(eta: Floats, share: float) -> float:
    """The intercept at which a site's expected share of events is the observed one; `eta` [n] = the rest of the logit.

    Newton's method within bounds that bracket the solution.
    """
    middle = float(scipy.special.logit(share))
    low, high = middle - float(eta.max()), middle - float(eta.min())
    at = middle - float(eta.mean())
    for _ in range(MAX_STEPS):
        chance = scipy.special.expit(eta + at)
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
    """Columns [n, P] less their means weighted by `spread` [n]: what an intercept leaves of them."""
    return np.asarray(x - (spread @ x) / max(spread.sum(), np.finfo(float).tiny))


def inverse(hessian: Floats, names: Sequence[str]) -> Floats:
    """Inverse of a positive definite matrix [P, P]; raises NotEstimable with the name of a dependent column."""
    scale = np.sqrt(np.diag(hessian))
    if (scale <= COLLINEAR * scale.max(initial=0.0)).any():  # columns are of like scale; less than this is rounding
        raise NotEstimable(
            f"column {names[int(np.argmin(scale))]!r} is the same in all patients of every site. Leave it out."
        )
    factor, failed = scipy.linalg.lapack.dpotrf(hessian / np.outer(scale, scale), lower=1, clean=1)
    weak = np.diag(factor) ** 2 < COLLINEAR
    if failed or weak.any():
        at = failed - 1 if failed else int(np.argmax(weak))
        raise NotEstimable(
            f"column {names[at]!r} cannot be told from the columns before it: it repeats them, or the patients with it "
            "all had one outcome. Leave it out, merge rare categories, or take more patients."
        )
    root = np.linalg.inv(factor) / scale  # LAPACK's own dpotri takes a millisecond for its threads
    return np.asarray(root.T @ root)


def varying(x: Floats) -> list[int]:
    """Indices of the columns of x [n, P] that are independent of an intercept and of the columns before them."""
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
    """A fitted regression: coefficients [P], their covariance [P, P], and what was sent for it."""

    names: tuple[str, ...]
    beta: Floats
    covariance: Floats
    traffic: Traffic

    def of(self, name: str) -> tuple[float, float]:
        """Coefficient and standard error of a column."""
        at = self.names.index(name)
        return float(self.beta[at]), float(np.sqrt(self.covariance[at, at]))


def fit(names: Sequence[str], sites: Sequence[Rows], site_intercepts: bool = True) -> Fit:
    """Maximum likelihood over the rows of all sites; raises NotEstimable where an effect is not determined."""
    state, traffic = solve(Logistic(names, site_intercepts), sites)
    return Fit(tuple(names), state["beta"], state["covariance"], traffic)
