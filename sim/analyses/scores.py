"""Score tests of many features at once, from sums: one null model, then one message with a few numbers per feature."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy.special import expit

from sim.arrays import Floats
from sim.exact.newton import Fit, centred, fit, fitted
from sim.exact.sums import Message, Rows, State, SumProtocol, Traffic, solve


@dataclass
class ScoreTests(SumProtocol):
    """Score, information and covariance with the covariates of every feature in rows["g"] [n, p].

    A site projects out its intercept before it sends anything. Rao, Proc. Camb. Phil. Soc. 1948; this is the efficient
    score of a logistic model.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta",)
    site_intercepts: bool = True
    beta: Floats = field(default_factory=lambda: np.zeros(0))  # [P] of the null model

    def start(self) -> State:
        """The coefficients of the null model."""
        return {"beta": self.beta}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Sums over the patients of one site: score [p], information [p], cross information [P, p]."""
        x, g = rows["x"], rows["g"]
        here = fitted(rows, seen["beta"], self.site_intercepts)
        if here is None:
            return {
                "score": np.zeros(g.shape[1]),
                "information": np.zeros(g.shape[1]),
                "cross": np.zeros((x.shape[1], g.shape[1])),
            }
        eta, spread = here
        score = (rows["y"] - expit(eta)) @ g
        inner = centred(x, spread) if self.site_intercepts else x
        information = spread @ g**2
        if self.site_intercepts:
            information = information - (spread @ g) ** 2 / max(spread.sum(), np.finfo(float).tiny)
        return {"score": score, "information": information, "cross": (spread[:, None] * inner).T @ g}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The totals are the answer."""
        return state | total, True


def z_scores(names: Sequence[str], sites: Sequence[Rows], site_intercepts: bool = True) -> tuple[Floats, Traffic]:
    """z statistic of every feature, adjusted for the covariates rows["x"] and the site; [p], NaN = not tested.

    Raises NotEstimable where the null model is not determined.
    """
    null: Fit = fit(names, sites, site_intercepts)
    found, traffic = solve(ScoreTests(site_intercepts, null.beta), sites)
    explained = (found["cross"] * (null.covariance @ found["cross"])).sum(0)
    left = found["information"] - explained
    enough = left > 1e-9 * np.maximum(found["information"], np.finfo(float).tiny)
    z = np.where(enough, found["score"] / np.sqrt(np.where(enough, left, 1.0)), np.nan)
    return z, null.traffic.then(traffic)


def informative(covariates: Sequence[str], sites: Sequence[Rows]) -> tuple[list[str], list[Rows]]:
    """Covariates that differ between patients of some site where both outcomes occur: the others are not estimable."""
    both = [rows["x"] for rows in sites if 0 < rows["y"].mean() < 1]
    keep = np.any([x.min(0) < x.max(0) for x in both], axis=0) if both else np.zeros(len(covariates), dtype=bool)
    names = [name for name, kept in zip(covariates, keep, strict=True) if kept]
    return names, [{**rows, "x": rows["x"][:, keep]} for rows in sites]
