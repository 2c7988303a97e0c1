"""Gumbel-max with capacities: every patient goes to the site with the highest affinity plus noise that still has room.

The noise is keyed by patient and site, so a stronger affinity moves some patients and leaves the others where they are.
Adding Gumbel noise and taking the largest draws a site with probability in proportion to exp(affinity): Maddison et
al., NeurIPS 2014. It is computed as the equivalent race: the least of E / exp(affinity), E exponential.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.jit import exact
from sim.random import GOLDEN, scatter
from sim.splitmix import mixed

Affinity = Callable[[Ints], Floats]  # numbers of patients [n] -> log-odds [n, K]

CELLS = 2**22  # patient-site pairs in memory at a time
SAMPLE = 2**23  # pairs on which the sites' intercepts are solved
STEPS = 200
CLOSE = 0.005  # relative error of a site's expected size that is good enough; capacities do the rest


def offsets(affinity: Affinity, patients: int, sizes: Ints) -> Floats:
    """Intercept of every site, [K], with which the expected sizes are the wanted ones: Sinkhorn's iteration.

    Of all laws with these sizes and these odds ratios there is one, and this is it; with affinities of zero the
    intercepts are the log sizes. Solved on the first patients by hash, a random sample, where there are very many.
    """
    some = np.arange(min(patients, max(SAMPLE // len(sizes), 512)))
    logit = affinity(some)
    weight = np.exp(logit - logit.max(axis=1, keepdims=True))
    share = sizes / sizes.sum()
    b = np.log(share)
    for _ in range(STEPS):
        drawn = np.exp(b)
        expected = drawn * ((1 / (weight @ drawn)) @ weight) / len(some)
        gap = np.log(share / np.maximum(expected, 1e-300))
        b = np.clip(b + gap, -300, 300)
        if np.abs(gap).max() < CLOSE:
            break
    return np.asarray(b)


def run(affinity: Affinity, words: NDArray[np.uint64], order: Ints, sizes: Ints, word: int) -> Ints:
    """Site of every patient, [N]: exactly `sizes` [K] patients each, chosen one after the other in `order` [N].

    `words` [N] are the patients' hashes, `word` the key of the noise. Sizes sum to N, so that nobody is left over.
    """
    b, left, site = offsets(affinity, len(words), sizes), sizes.copy(), np.empty(len(words), dtype=np.int64)
    block = max(CELLS // len(sizes), 1)
    for low in range(0, len(order), block):
        rows = order[low : low + block]
        logit = affinity(rows) + b
        logit -= logit.max(axis=1, keepdims=True)
        site[rows] = choose(logit, np.exp(logit), scatter(word, words[rows]), left)
    return site


@exact
def choose(logit: Floats, weight: Floats, word: NDArray[np.uint64], left: Ints) -> Ints:  # pragma: no cover - compiled
    """Site of every patient of a block, [n]; takes their places from `left` [K]. logit, weight = exp(logit) [n, K]."""
    chosen = np.empty(len(logit), dtype=np.int64)
    for i in range(len(logit)):
        best, at = np.inf, -1
        for k in range(len(left)):
            if left[k] == 0 or weight[i, k] == 0.0:
                continue
            u = np.float64(mixed((word[i] ^ np.uint64(k)) + GOLDEN) >> np.uint64(11)) * 2.0**-53
            # -log u >= 1 - u: most sites are out of the race before a logarithm is taken.
            if u == 0.0 or (1.0 - u) >= best * weight[i, k]:
                continue
            x = -np.log(u) / weight[i, k]
            if x < best:
                best, at = x, k
        if at < 0:  # what is left is all but impossible: the most likely of it
            for k in range(len(left)):
                if left[k] > 0 and (at < 0 or logit[i, k] > logit[i, at]):
                    at = k
        left[at] -= 1
        chosen[i] = at
    return chosen
