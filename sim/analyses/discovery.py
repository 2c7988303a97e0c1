"""Biomarker discovery: which of many features go with an outcome, found by sums, beside what is usually done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sim.analyses.features import Panel, Scope, linked
from sim.analyses.newton import fit, varying
from sim.analyses.pooled import pooled_z
from sim.analyses.scores import telling, z_scores
from sim.analyses.selection import Flags, Found, discoveries, jaccard, judge, p_values, stability
from sim.analyses.sums import Rows, Wire
from sim.arrays import Floats
from sim.checks import Refused
from sim.random import stream
from sim.stats.intervals import Interval

SUMS, JOINT, META, HALF, TWO, LARGEST, MEAN, POOLED = (
    "Sums over sites",
    "Sums, then one joint model",
    "Meta-analysis of z scores",
    "Vote: at least half of sites",
    "Vote: at least two sites",
    "Largest site alone",
    "A site alone, mean",
    "Pooled rows",
)
LINK = 0.1  # correlation with a true feature that makes a false one its neighbour; blocks of AR(1) .5 have .125 at 3


@dataclass(frozen=True)
class Choice:
    """What every way of searching chooses in one set of rows."""

    ways: Mapping[str, Flags]  # [p]
    alone: Flags  # [S, p] what each site chooses by itself
    z: Floats  # [p] from sums
    wires: Mapping[str, Wire]


@dataclass(frozen=True)
class Row:
    """One way of searching; NaN where nothing is known."""

    way: str
    found: Found
    far: float  # share of the chosen that are neither true nor correlated with a true feature
    stable: Interval
    wire: Wire | None


@dataclass(frozen=True)
class Discovery:
    """Every way of searching, and what the sums chose."""

    scope: Scope
    rows: tuple[Row, ...]
    chosen: tuple[str, ...]  # by sums and one joint model
    agree: float  # mean Jaccard index of two sites that search alone
    pooled_gap: float  # largest difference of a z score between sums and pooled rows
    prepared: Wire  # what the means and spreads of covariates and features cost


def discovery(panel: Panel, rate: float, halves: int, seed: int) -> Discovery:
    """Search once in all rows, then in `halves` random halves of every site's patients."""
    first = choose(panel.covariates, panel.sites, rate)
    pooled = pooled_z(panel)
    gap = float("nan") if pooled is None else float(np.nanmax(np.abs(pooled - first.z)))
    again = [choose(panel.covariates, half(panel.sites, seed, draw), rate, part=True) for draw in range(halves)]
    near = None if panel.true is None else linked(panel.sites, panel.true, LINK)
    rows = []
    for way, chosen in first.ways.items():
        stable = stability(np.array([one.ways[way] for one in again])) if halves else NOTHING
        rows.append(Row(way, found(chosen, panel.true), far(chosen, near), stable, first.wires.get(way)))
    if len(panel.sites) > 1:
        rows.append(mean_alone(first, again, panel, near))
    if pooled is not None:
        chosen = discoveries(p_values(pooled), rate)
        rows.append(Row(POOLED, found(chosen, panel.true), far(chosen, near), NOTHING, None))
    names = tuple(name for name, here in zip(panel.features, first.ways[JOINT], strict=True) if here)
    return Discovery(panel.scope, tuple(rows), names, jaccard(first.alone), gap, panel.wire)


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def choose(covariates: Sequence[str], sites: Sequence[Rows], rate: float, part: bool = False) -> Choice:
    """What each way chooses, from the same rows; a part of the rows in which nothing can be told chooses nothing."""
    covariates, sites = telling(covariates, sites)
    try:
        z, wire = z_scores(covariates, sites)
    except Refused:
        if not part:
            raise
        z, wire = np.full(sites[0]["g"].shape[1], np.nan), Wire()
    screened = discoveries(p_values(z), rate)
    joint, more = jointly(covariates, sites, screened, rate)
    own = np.array([alone(covariates, rows) for rows in sites])
    single = np.array([discoveries(p_values(mine), rate) for mine in own])
    size = np.array([float(len(rows["y"])) for rows in sites])
    votes, largest = single.sum(0), int(np.argmax(size))
    each = Wire(1, 8 * z.size, 0)
    ways = {
        SUMS: screened,
        JOINT: joint,
        META: discoveries(p_values(stouffer(own, size)), rate),
        HALF: votes >= max(len(sites) / 2, 1),
        TWO: votes >= 2,
        LARGEST: single[largest],
    }
    mark = Wire(1, (z.size + 7) // 8, 0)  # a bit a feature
    wires = {SUMS: wire, JOINT: wire.then(more), META: each, HALF: mark, TWO: mark, LARGEST: Wire()}
    return Choice(ways if len(sites) > 1 else {SUMS: screened, JOINT: joint}, single, z, wires)


def alone(covariates: Sequence[str], rows: Rows) -> Floats:
    """z scores of one site by itself, adjusted for what varies there; [p], NaN where it cannot say."""
    keep = varying(rows["x"])
    try:
        return z_scores([covariates[at] for at in keep], [{**rows, "x": rows["x"][:, keep]}])[0]
    except Refused:
        return np.full(rows["g"].shape[1], np.nan)


def stouffer(z: Floats, size: Floats) -> Floats:
    """z scores of sites [S, p] combined with weights sqrt(patients) [S]; a site that cannot say is left out; [p].

    Stouffer et al. 1949; weights: Liptak 1958.
    """
    w = np.where(np.isnan(z), 0.0, np.sqrt(size)[:, None])
    total = (w**2).sum(0)
    return np.where(total > 0, (w * np.nan_to_num(z)).sum(0) / np.sqrt(np.maximum(total, 1e-300)), np.nan)


def jointly(covariates: Sequence[str], sites: Sequence[Rows], screened: Flags, rate: float) -> tuple[Flags, Wire]:
    """Of the screened features, those with an effect beside all the others: a neighbour of a true one has none.

    Wald tests in one regression with all of them, held to the false discovery rate among all features.
    """
    if not screened.any():
        return screened, Wire()
    names = [*covariates, *(f"feature {at}" for at in np.flatnonzero(screened))]
    try:
        model = fit(names, [{**rows, "x": np.hstack([rows["x"], rows["g"][:, screened]])} for rows in sites])
    except Refused:  # more features than the patients can tell apart
        return screened, Wire()
    at = np.arange(len(covariates), len(names))
    p = np.ones(len(screened))
    p[screened] = 2 * stats.norm.sf(np.abs(model.beta[at]) / np.sqrt(np.diag(model.covariance)[at]))
    return discoveries(p, rate), model.wire


def half(sites: Sequence[Rows], seed: int, draw: int) -> list[Rows]:
    """A random half of every site's patients, in their order.

    Halves without replacement, not a bootstrap, whose repeated patients make chance findings look sure. Meinshausen
    and Buhlmann, JRSS B 2010.
    """
    made: list[Rows] = []
    for number, rows in enumerate(sites):
        n = len(rows["y"])
        picked = np.sort(stream(seed, "discovery", "half", draw, number).permutation(n)[: (n + 1) // 2])
        made.append({name: values[picked] for name, values in rows.items()})
    return made


def found(chosen: Flags, true: Flags | None) -> Found:
    """A choice against the truth, where it is known."""
    return judge(chosen, true) if true is not None else Found(int(chosen.sum()), float("nan"), float("nan"))


def far(chosen: Flags, near: Flags | None) -> float:
    """Share of the chosen that are not even neighbours of a true feature."""
    return float("nan") if near is None else float((chosen & ~near).sum() / max(chosen.sum(), 1))


def mean_alone(first: Choice, again: Sequence[Choice], panel: Panel, near: Flags | None) -> Row:
    """The average site that searches alone."""
    each = np.array([[*found(mine, panel.true), far(mine, near)] for mine in first.alone])
    chosen, recall, false, distant = map(float, each.mean(0))
    stable = [stability(np.array([one.alone[at] for one in again])).mean for at in range(len(first.alone)) if again]
    value = float(np.nanmean(stable)) if np.isfinite(stable).any() else float("nan")
    nan = float("nan")
    return Row(MEAN, Found(round(chosen), recall, false), distant, Interval(value, nan, nan), Wire())
