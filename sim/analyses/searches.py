"""The ways of searching for features that are associated with an outcome, applied to the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sim.analyses.scores import informative, z_scores
from sim.analyses.selection import Flags, discoveries, p_values
from sim.arrays import Floats
from sim.checks import Refused
from sim.exact.newton import fit, varying
from sim.exact.sums import Rows, Traffic
from sim.random import stream

SUMS, JOINT, META, HALF, TWO, LARGEST = (
    "Sums over sites",
    "Sums, then one joint model",
    "Meta-analysis of z scores",
    "Vote: at least half of sites",
    "Vote: at least two sites",
    "Largest site alone",
)


@dataclass(frozen=True)
class Selections:
    """The features that every way of searching chooses from one set of rows."""

    ways: Mapping[str, Flags]  # [p]
    alone: Flags  # [S, p]; the choice of each site by itself
    z: Floats  # [p]; z scores by sums
    traffic: Mapping[str, Traffic]  # way -> what one site exchanges


def select(covariates: Sequence[str], sites: Sequence[Rows], rate: float, part: bool = False) -> Selections:
    """Choice of every way of searching at false discovery rate `rate`.

    Raises Refused where the covariates are not estimable; with `part` (a random half) nothing is chosen then.
    """
    covariates, sites = informative(covariates, sites)
    try:
        z, sent = z_scores(covariates, sites)
    except Refused:
        if not part:
            raise
        z, sent = np.full(sites[0]["g"].shape[1], np.nan), Traffic()
    screened = discoveries(p_values(z), rate)
    joint, more = joint_model(covariates, sites, screened, rate)
    own = np.array([site_z_scores(covariates, rows) for rows in sites])
    single = np.array([discoveries(p_values(mine), rate) for mine in own])
    size = np.array([float(len(rows["y"])) for rows in sites])
    votes, largest = single.sum(0), int(np.argmax(size))
    each = Traffic(1, 8 * z.size, 0)
    ways = {
        SUMS: screened,
        JOINT: joint,
        META: discoveries(p_values(stouffer(own, size)), rate),
        HALF: votes >= max(len(sites) / 2, 1),
        TWO: votes >= 2,
        LARGEST: single[largest],
    }
    mark = Traffic(1, (z.size + 7) // 8, 0)  # one bit per feature
    traffic = {SUMS: sent, JOINT: sent.then(more), META: each, HALF: mark, TWO: mark, LARGEST: Traffic()}
    return Selections(ways if len(sites) > 1 else {SUMS: screened, JOINT: joint}, single, z, traffic)


def site_z_scores(covariates: Sequence[str], rows: Rows) -> Floats:
    """z scores of one site by itself, adjusted for the covariates that vary there; [p], NaN where not estimable."""
    keep = varying(rows["x"])
    try:
        return z_scores([covariates[at] for at in keep], [{**rows, "x": rows["x"][:, keep]}])[0]
    except Refused:
        return np.full(rows["g"].shape[1], np.nan)


def stouffer(z: Floats, size: Floats) -> Floats:
    """z scores of sites [S, p] combined with weights sqrt(patients) [S]; sites with NaN are left out; [p].

    Stouffer et al., The American Soldier, 1949; weights: Liptak, Publ. Math. Inst. Hung. Acad. Sci. 1958.
    """
    w = np.where(np.isnan(z), 0.0, np.sqrt(size)[:, None])
    total = (w**2).sum(0)
    return np.where(total > 0, (w * np.nan_to_num(z)).sum(0) / np.sqrt(np.maximum(total, 1e-300)), np.nan)


def joint_model(
    covariates: Sequence[str], sites: Sequence[Rows], screened: Flags, rate: float
) -> tuple[Flags, Traffic]:
    """Of the screened features, those with an effect given all the others: a mere neighbour of a true one has none.

    Wald tests in one regression on all of them, at the false discovery rate `rate` among all p features. All screened
    features are kept where that regression is not estimable.
    """
    if not screened.any():
        return screened, Traffic()
    names = [*covariates, *(f"feature {at}" for at in np.flatnonzero(screened))]
    try:
        model = fit(names, [{**rows, "x": np.hstack([rows["x"], rows["g"][:, screened]])} for rows in sites])
    except Refused:  # more features than these patients can distinguish
        return screened, Traffic()
    at = np.arange(len(covariates), len(names))
    p = np.ones(len(screened))
    p[screened] = 2 * stats.norm.sf(np.abs(model.beta[at]) / np.sqrt(np.diag(model.covariance)[at]))
    return discoveries(p, rate), model.traffic


def random_halves(sites: Sequence[Rows], seed: int, draw: int) -> list[Rows]:
    """A random half of every site's patients, in their order.

    Halves without replacement, not a bootstrap, whose repeated patients make chance findings look certain. Meinshausen
    and Buhlmann, JRSS B 2010.
    """
    made: list[Rows] = []
    for number, rows in enumerate(sites):
        n = len(rows["y"])
        picked = np.sort(stream(seed, "discovery", "half", draw, number).permutation(n)[: (n + 1) // 2])
        made.append({name: values[picked] for name, values in rows.items()})
    return made
