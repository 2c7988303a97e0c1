"""What is proved of aggregators that bound what one upload can do: geometric median, centred clipping, norm bound."""

from collections.abc import Callable
from functools import partial

import numpy as np

from sim.methods.aggregators import CentredClip, GeometricMedian, NormBound
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Weighting
from sim.random import counted, key, scatter
from sim.verify.aggregators import Checks, combined, follows, path, uploads
from sim.verify.aggregators_robust import Make, is_mean, is_rule, judges
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, narrow

UNEQUAL = np.array([0.1, 0.3, 0.2, 0.25, 0.15])


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
    "geometricmedian": of_geometricmedian,
    "centredclip": of_centredclip,
    "normbound": of_normbound,
}
