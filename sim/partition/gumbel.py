"""Gumbel-max with capacities: each patient goes to the site with room that has the highest affinity plus noise.

The noise is keyed by patient and site, so a stronger affinity moves some patients and leaves the others where they are.
Adding Gumbel noise and taking the largest draws a site with probability in proportion to exp(affinity): Maddison et
al., NeurIPS 2014. Computed in the equivalent form of a race: the least `E / exp(affinity)`, E exponential, wins.
"""

from collections.abc import Callable

import numpy as np

from sim.arrays import Floats, Ints, Words
from sim.jit import exact
from sim.random import GOLDEN, scatter
from sim.splitmix import mixed

LogOdds = Callable[[Ints], Floats]  # numbers of patients [n] -> their affinities to the sites [n, K]

CELLS = 2**22  # patient-site pairs in memory at a time
SAMPLE = 2**23  # pairs on which the sites' intercepts are solved
STEPS = 200  # of the iteration, at most
CLOSE = 0.005  # relative error of a site's expected size that is good enough; capacities do the rest


def site_intercepts(affinity: LogOdds, patients: int, sizes: Ints) -> Floats:
    """Intercept of every site, [K], with which the expected sizes are the wanted ones: Sinkhorn's iteration.

    Only one law has these sizes and these odds ratios, and the intercepts give it; where all affinities are 0 they are
    the log sizes. Of very many patients the first by hash, which are a random sample, are solved for.
    """
    sample = np.arange(min(patients, max(SAMPLE // len(sizes), 512)))
    logit = affinity(sample)
    weight = np.exp(logit - logit.max(axis=1, keepdims=True))
    share = sizes / sizes.sum()
    b = np.log(share)
    for _ in range(STEPS):
        odds = np.exp(b)
        expected = odds * ((1 / (weight @ odds)) @ weight) / len(sample)
        gap = np.log(share / np.maximum(expected, 1e-300))
        b = np.clip(b + gap, -300, 300)
        if np.abs(gap).max() < CLOSE:
            break
    return np.asarray(b)


def assign_by_affinity(affinity: LogOdds, words: Words, order: Ints, sizes: Ints, noise: int) -> Ints:
    """Site of every patient, [N]: exactly `sizes` [K] patients each, chosen one after the other in `order` [N].

    `words` [N] are the patients' hashes, `noise` is the key of the noise. Sizes sum to N, so nobody is left over.
    """
    b, left, site = site_intercepts(affinity, len(words), sizes), sizes.copy(), np.empty(len(words), dtype=np.int64)
    block = max(CELLS // len(sizes), 1)
    for low in range(0, len(order), block):
        rows = order[low : low + block]
        logit = affinity(rows) + b
        logit -= logit.max(axis=1, keepdims=True)
        site[rows] = choose(logit, np.exp(logit), scatter(noise, words[rows]), left)
    return site


@exact
def choose(logit: Floats, weight: Floats, word: Words, left: Ints) -> Ints:  # pragma: no cover - compiled
    """Site of every patient of a block, [n], by the random words of the patients [n].

    logit [n, K], weight = exp(logit). Takes the chosen places from `left` [K], the room at every site.
    """
    chosen = np.empty(len(logit), dtype=np.int64)
    for i in range(len(logit)):
        best, winner = np.inf, -1
        for k in range(len(left)):
            if left[k] == 0 or weight[i, k] == 0.0:
                continue
            u = np.float64(mixed((word[i] ^ np.uint64(k)) + GOLDEN) >> np.uint64(11)) * 2.0**-53
            # -log u >= 1 - u: most sites are out of the race before a logarithm is taken.
            if u == 0.0 or (1.0 - u) >= best * weight[i, k]:
                continue
            x = -np.log(u) / weight[i, k]
            if x < best:
                best, winner = x, k
        if winner < 0:  # every site with room has a weight that rounds to 0: the most likely of them
            for k in range(len(left)):
                if left[k] > 0 and (winner < 0 or logit[i, k] > logit[i, winner]):
                    winner = k
        left[winner] -= 1
        chosen[i] = winner
    return chosen
