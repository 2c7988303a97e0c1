"""What is proved of aggregators that leave out uploads, or values, by their order or their distances."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from sim.methods.aggregators import Bulyan, MultiKrum, TrimmedMean
from sim.methods.aggregators.base import Aggregator
from sim.methods.contract import Weighting
from sim.verify.aggregators import Checks, combined, follows, made, path, uploads
from sim.verify.check import Check
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import gap, narrow

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
    """Uploads with an aggregate computed by hand."""
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
    yield is_rule(beta(0.28), partial(trimmed, 7), "0.28 of 25 is seven at either end", 25)
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


CHECKS: dict[str, Callable[[], Checks]] = {
    "trimmedmean": of_trimmedmean,
    "multikrum": of_multikrum,
    "bulyan": of_bulyan,
}
