"""Score tests of many features at once, from sums: one null model, then one message with a number a feature."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy.special import expit

from sim.analyses.newton import Fit, centred, fit, fitted
from sim.analyses.sums import Exact, Message, Rows, State, Wire, solve
from sim.arrays import Floats


@dataclass
class Scores(Exact):
    """Score, information and covariance with the covariates of every feature in rows["g"] [n, p], for all rows at once.

    The site's intercept is projected out before anything is sent. Rao 1948; the efficient score of a logistic model.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta",)
    own: bool = True
    beta: Floats = field(default_factory=lambda: np.zeros(0))

    def start(self) -> State:
        """The fitted null model."""
        return {"beta": self.beta}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Sums over the patients of one site: score [p], information [p], cross information [P, p]."""
        x, g = rows["x"], rows["g"]
        here = fitted(rows, seen["beta"], self.own)
        if here is None:
            return {
                "score": np.zeros(g.shape[1]),
                "own": np.zeros(g.shape[1]),
                "cross": np.zeros((x.shape[1], g.shape[1])),
            }
        eta, spread = here
        score = (rows["y"] - expit(eta)) @ g
        inner = centred(x, spread) if self.own else x
        information = spread @ g**2
        if self.own:
            information = information - (spread @ g) ** 2 / max(spread.sum(), np.finfo(float).tiny)
        return {"score": score, "own": information, "cross": (spread[:, None] * inner).T @ g}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The totals are the answer."""
        return state | total, True


def z_scores(names: Sequence[str], sites: Sequence[Rows], own: bool = True) -> tuple[Floats, Wire]:
    """z statistic of every feature, adjusted for the covariates rows["x"] and the site; [p], NaN = not tested."""
    null: Fit = fit(names, sites, own)
    found, wire = solve(Scores(own, null.beta), sites)
    explained = (found["cross"] * (null.covariance @ found["cross"])).sum(0)
    left = found["own"] - explained
    enough = left > 1e-9 * np.maximum(found["own"], np.finfo(float).tiny)
    z = np.where(enough, found["score"] / np.sqrt(np.where(enough, left, 1.0)), np.nan)
    return z, null.wire.then(wire)


def telling(covariates: Sequence[str], sites: Sequence[Rows]) -> tuple[list[str], list[Rows]]:
    """Covariates that differ between patients of some site where both outcomes occur; the others say nothing."""
    both = [rows["x"] for rows in sites if 0 < rows["y"].mean() < 1]
    keep = np.any([x.min(0) < x.max(0) for x in both], axis=0) if both else np.zeros(len(covariates), dtype=bool)
    names = [name for name, kept in zip(covariates, keep, strict=True) if kept]
    return names, [{**rows, "x": rows["x"][:, keep]} for rows in sites]
