"""What is proved of the robust aggregators, in numpy from their papers. The sites run FedAvg."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from sim.methods.aggregators import Bulyan, CentredClip, GeometricMedian, MultiKrum, NormBound, TrimmedMean
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Weighting
from sim.random import counted, key, scatter
from sim.verify.aggregators import Checks, combined, follows, made, path, uploads
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

UNEQUAL = np.array([0.1, 0.3, 0.2, 0.25, 0.15])
Make = Callable[[type[Aggregator]], Aggregator]


def is_rule(make: Make, rule: Callable[[Array, Array], Array], words: str, sites: int = 9) -> Check[Aggregator]:
    """The aggregate of twenty sets of uploads, two of which lie far away, is the rule's by enumeration."""

    def error(entry: type[Aggregator]) -> float:
        worst, p = 0.0, np.arange(1.0, sites + 1) / sum(range(sites + 1))
        for seed in range(20):
            sent = uploads(sites, seed)
            sent[seed % sites] += 20
            sent[(seed + 4) % sites] -= 3
            worst = max(worst, gap(combined(make(entry), sent, p), rule(sent, p)))
        return worst

    return Check(words, error)


def is_mean(make: Make, words: str, weighting: Weighting = Weighting.sites) -> Check[Aggregator]:
    """At a neutral value the path is the mean's."""
    trial = spatial(12, 0, weighting)
    return follows(make, trial, path(lambda u, p: p @ u)(trial), words)


def numbers(make: Make, sent: list[list[float]], expected: list[float]) -> Check[Aggregator]:
    """Uploads whose aggregate is known by hand."""
    words = f"of {len(sent)} uploads it is {expected[0]:g}, by hand"
    return Check(words, lambda entry: gap(combined(make(entry), np.array(sent)), np.array(expected)), 1e-15)


def judges(make: Make, chosen: Callable[[Array], list[int]], sites: int = 9) -> Check[Aggregator]:
    """The sites that are recorded as left out are those that the rule leaves out."""

    def error(entry: type[Aggregator]) -> float:
        worst = 0.0
        for seed in range(10):
            sent, p = uploads(sites, seed), torch.ones(sites, dtype=torch.float64) / sites
            found = made(make(entry), {"delta": torch.from_numpy(sent)}, p).used
            expected = np.isin(np.arange(sites), chosen(sent)).astype(float)
            worst = max(worst, 1.0 if found is None else gap(found.numpy(), expected))
        return worst

    return Check("says which uploads it left out", error, 0.0)


def trimmed(count: int, u: Array, p: Array) -> Array:
    """Yin et al. 2018 with so many values left out at either end."""
    return np.asarray(np.sort(u, axis=0)[count : len(u) - count].mean(0))


def of_trimmedmean() -> Checks:
    """The coordinate-wise trimmed mean."""

    def beta(value: float) -> Make:
        return lambda entry: narrow(entry, TrimmedMean)(beta=value)

    four = [[0.5, 0.5, 0.5, 0.5], [1.0, 0.2, 0.5, 1.0], [0.2, 0.5, 1.0, 0.2], [0.5, 1.0, 0.2, 0.5]]
    yield numbers(beta(0.25), four, [0.5] * 4)
    yield numbers(beta(0.25), [[0.5], [1.0], [2.0], [100.0]], [1.5])
    yield is_rule(beta(0.1), partial(trimmed, 1), "a tenth of nine is rounded up to one at either end")
    yield is_rule(beta(0.2), partial(trimmed, 3), "a fifth of fifteen is three at either end", 15)
    yield is_mean(beta(0.0), "beta 0 is the mean over sites")
    trial = spatial(20, 0)
    yield follows(beta(0.3), trial, path(partial(trimmed, 2))(trial), "path, all sites, beta 0.3")


def lowest(distance: Array, f: int) -> list[int]:
    """Blanchard et al. 2017: uploads by score, of equal ones the one nearer to all first."""
    near = max(len(distance) - f - 2, 1)
    score = [np.sort(np.delete(row, at))[:near].sum() for at, row in enumerate(distance)]
    return sorted(range(len(distance)), key=lambda at: (score[at], distance[at].sum()))


def pairs(u: Array) -> Array:
    """Squared distances; [M, D] -> [M, M]."""
    return np.asarray(((u[:, None] - u[None]) ** 2).sum(-1))


def of_multikrum() -> Checks:
    """Multi-Krum."""

    def entry_of(f: int, q: int) -> Make:
        return lambda entry: narrow(entry, MultiKrum)(f=f, q=q)

    def chosen(f: int, q: int, u: Array) -> list[int]:
        return lowest(pairs(u), f)[:q]

    yield numbers(entry_of(1, 2), [[0.2], [0.5], [1.0]], [0.35])
    yield is_rule(entry_of(2, 4), lambda u, p: u[chosen(2, 4, u)].mean(0), "mean of the 4 least scores, by enumeration")
    yield is_rule(entry_of(2, 0), lambda u, p: u[chosen(2, 7, u)].mean(0), "q 0 is M - f")
    yield is_rule(entry_of(2, 1), lambda u, p: u[chosen(2, 1, u)[0]], "q 1 is Krum")
    yield is_mean(entry_of(1, 6), "q = M is the mean over sites")
    yield judges(entry_of(2, 4), partial(chosen, 2, 4))
    trial = spatial(20, 0)
    closed = path(lambda u, p: u[chosen(1, 3, u)].mean(0))(trial)
    yield follows(entry_of(1, 3), trial, closed, "path, all sites, f 1, q 3")


def selected(f: int, u: Array) -> list[int]:
    """El Mhamdi et al. 2018, first stage: Krum's choice again and again among those that remain."""
    left, distance = list(range(len(u))), pairs(u)
    for _ in range(len(u) - 2 * f):
        del left[lowest(distance[np.ix_(left, left)], f)[0]]
    return [at for at in range(len(u)) if at not in left]


def bulyan(f: int, u: Array, p: Array) -> Array:
    """El Mhamdi et al. 2018, both stages, coordinate by coordinate."""
    found = []
    for values in u[selected(f, u)].T:
        near = sorted(values, key=lambda value: abs(value - np.median(values)))
        found.append(np.mean(near[: len(values) - 2 * f]))
    return np.array(found)


def of_bulyan() -> Checks:
    """Bulyan."""

    def entry_of(f: int) -> Make:
        return lambda entry: narrow(entry, Bulyan)(f=f)

    yield is_rule(entry_of(1), partial(bulyan, 1), "both stages by enumeration, f 1 of 9")
    yield is_rule(entry_of(2), partial(bulyan, 2), "both stages by enumeration, f 2 of 13", 13)
    yield judges(entry_of(1), partial(selected, 1))
    yield is_mean(entry_of(0), "f 0 is the mean over sites")


def weiszfeld(steps: int, nu: float, u: Array, p: Array) -> Array:
    """Pillutla et al. 2022, Algorithm 2, from the weighted mean."""
    v = p @ u
    for _ in range(steps):
        beta = np.array([weight / max(nu, np.linalg.norm(v - one)) for weight, one in zip(p, u, strict=True)])
        v = beta @ u / beta.sum()
    return np.asarray(v)


def of_geometricmedian() -> Checks:
    """RFA."""

    def entry_of(steps: int, nu: float = 1e-6) -> Make:
        return lambda entry: narrow(entry, GeometricMedian)(R=steps, nu=nu)

    yield is_rule(entry_of(3), partial(weiszfeld, 3, 1e-6), "three smoothed Weiszfeld steps from the weighted mean")
    yield is_rule(entry_of(4, 8.0), partial(weiszfeld, 4, 8.0), "distances below nu count as nu")

    def at_rest(entry: type[Aggregator]) -> float:
        """sum p_i (v - u_i) / |v - u_i| = 0 at the geometric median."""
        away = combined(entry_of(400)(entry), uploads(5), UNEQUAL) - uploads(5)
        return float(np.abs(UNEQUAL / np.linalg.norm(away, axis=1) @ away).max())

    yield Check("after many steps the weighted unit vectors to the uploads sum to zero", at_rest, 1e-6)

    def pulled(entry: type[Aggregator]) -> float:
        """How far beyond the spread of six honest uploads three others at 1e6 move it."""
        sent = uploads(9)
        sent[:3] = 1e6
        found = combined(entry_of(200)(entry), sent)
        return max(float(np.linalg.norm(found - sent[3:].mean(0))) - 10.0, 0.0)

    yield Check("a third of the weight cannot carry it away", pulled, 0.0)
    trial = spatial(20, 4)
    yield follows(entry_of(2), trial, path(partial(weiszfeld, 2, 1e-6))(trial), "path, 4 of 6 sites, R 2")


def clipped(v: Array, u: Array, tau: float, steps: int) -> Array:
    """Karimireddy et al. 2021, Algorithm 2."""
    for _ in range(steps):
        v = v + np.mean([(one - v) * min(1.0, tau / np.linalg.norm(one - v)) for one in u], axis=0)
    return v


def history(tau: float, steps: int, bucket: int) -> Callable[[Trial], Array]:
    """FedAvg under centred clipping from the last aggregate, of buckets that are drawn in every round."""

    def closed(trial: Trial) -> Array:
        x, v, found, keys = trial.start, np.zeros_like(trial.start), [trial.start], trial.problem.federation.keys
        for number, tick in enumerate(trial.ticks(), 1):
            word = scatter(key(trial.seed, "aggregator.bucket", number), keys[tick.sites])
            order = np.argsort(counted(word, np.zeros(len(word), np.int64)))
            delta = moves(trial, tick, x)
            means = [delta[order[at : at + bucket]].mean(0) for at in range(0, len(order), bucket)]
            v = clipped(v, np.stack(means), tau, steps)
            x = x + v
            found.append(x)
        return np.stack(found)

    return closed


def of_centredclip() -> Checks:
    """Centred clipping, with and without buckets."""

    def entry_of(tau: float, iterations: int = 1, bucket: int = 1) -> Make:
        return lambda entry: narrow(entry, CentredClip)(tau=tau, iterations=iterations, bucket=bucket)

    rule = "two clipped steps from zero, by enumeration"
    yield is_rule(entry_of(2.0, 2), lambda u, p: clipped(np.zeros(6), u, 2.0, 2), rule)
    yield is_mean(entry_of(1e9), "a wide radius is the mean over sites")
    for iterations, bucket in ((1, 1), (3, 1), (1, 2), (2, 4)):
        trial = spatial(15, 5 if bucket == 2 else 0)
        closed = history(0.1, iterations, bucket)(trial)
        words = f"path, from the last aggregate, {iterations} iterations, buckets of {bucket}"
        yield follows(entry_of(0.1, iterations, bucket), trial, closed, words)


def shortened(bound: float, u: Array, p: Array) -> Array:
    """Sun et al. 2019 without noise; bound 0 = the median norm."""
    norm = np.linalg.norm(u, axis=1)
    return np.asarray(p @ (u * np.minimum(1, (bound or np.median(norm)) / norm)[:, None]))


def of_normbound() -> Checks:
    """Norm bounding."""

    def entry_of(bound: float) -> Make:
        return lambda entry: narrow(entry, NormBound)(bound=bound)

    for bound, words in ((2.0, "a bound of 2"), (0.0, "the median norm as bound, odd number"), (0.0, "even number")):
        yield is_rule(entry_of(bound), partial(shortened, bound), words, 8 if words == "even number" else 9)
    yield is_mean(entry_of(1e9), "a wide bound is FedAvg", Weighting.patients)
    yield judges(entry_of(1e9), lambda u: list(range(len(u))))
    trial = spatial(20, 4)
    yield follows(entry_of(0.0), trial, path(partial(shortened, 0.0))(trial), "path, 4 of 6 sites, median norm")


CHECKS: dict[str, Callable[[], Checks]] = {
    "trimmedmean": of_trimmedmean,
    "multikrum": of_multikrum,
    "bulyan": of_bulyan,
    "geometricmedian": of_geometricmedian,
    "centredclip": of_centredclip,
    "normbound": of_normbound,
}
