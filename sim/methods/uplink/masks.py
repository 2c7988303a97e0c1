"""A round of secure aggregation: pairwise and individual masks, shares of their seeds, and recovery of the sum.

Bonawitz et al., CCS 2017. Seeds come from keys instead of a key agreement, and nothing is encrypted: only the
arithmetic is simulated. Letters: A sites that were asked, M of them that answered.
"""

from collections.abc import Sequence

import numpy as np

from sim.arrays import Ints, Words
from sim.checks import Refused
from sim.random import counted, key, stream

PRIME = 2**61 - 1  # field of the secret sharing


def masked(q: Ints, weight: int, site: int, asked: Sequence[int], seed: int, round: int, field: int) -> Words:
    """What a site sends: its weighted numbers [P] with its own mask and one for each other site, mod 2^field."""
    total = (q * weight).astype(np.uint64) + mask(own_seed(seed, round, site), len(q))
    for other in asked:
        if other != site:
            pair = mask(pair_seed(seed, round, site, other), len(q))
            total = total + pair if other > site else total - pair
    return np.asarray(total & modulus(field))


def recovered(
    sent: dict[int, Words],
    asked: Sequence[int],
    shares: dict[tuple[str, int, int], list[tuple[int, int]]],
    least: int,
    field: int,
) -> Ints:
    """`sum w_i q_i` of the sites that answered, from their uploads [P] and the shares that they give away.

    shares: ("own", i, i) for each that answered and ("pair", i, j) for each that did not with each that did, as points
    (x, y) of the polynomial whose value at 0 is the seed. Refuses fewer than `least` answers.
    """
    if len(sent) < least:
        raise Refused(f"secure aggregation: {len(sent)} of {len(asked)} sites answered, but {least} are needed.")
    total: Words = np.sum(list(sent.values()), axis=0, dtype=np.uint64)
    size = len(total)
    for site in sent:
        total = total - mask(secret(shares["own", site, site][:least]), size)
        for lost in set(asked) - set(sent):
            pair = mask(secret(shares["pair", lost, site][:least]), size)
            total = total - pair if lost > site else total + pair
    total = total & modulus(field)
    half = np.uint64(1 << (field - 1))
    return np.asarray(np.where(total >= half, total.astype(np.int64) - (1 << field), total.astype(np.int64)))


def mask(seed: int, size: int) -> Words:
    """Uniform words from a seed; [size]."""
    return counted(np.full(size, seed, dtype=np.uint64), np.arange(size))


def modulus(field: int) -> np.uint64:
    """The bits of a number of the ring."""
    return np.uint64((1 << field) - 1)


def own_seed(seed: int, round: int, site: int) -> int:
    """Seed of a site's own mask."""
    return key(seed, "secagg own", round, site) % PRIME


def pair_seed(seed: int, round: int, one: int, other: int) -> int:
    """Seed that two sites share."""
    return key(seed, "secagg pair", round, min(one, other), max(one, other)) % PRIME


def shared(value: int, holders: Sequence[int], least: int, seed: int, name: str) -> list[tuple[int, int]]:
    """Shares of a seed, one for each holder, of which any `least` tell it and fewer tell nothing (Shamir 1979)."""
    rng = stream(seed, "shares", name)
    terms = [value, *(int(word) for word in rng.integers(0, PRIME, least - 1))]

    def value_at(x: int) -> int:
        return sum(term * pow(x, power, PRIME) for power, term in enumerate(terms)) % PRIME

    return [(holder + 1, value_at(holder + 1)) for holder in holders]


def secret(points: Sequence[tuple[int, int]]) -> int:
    """The value at 0 of the polynomial through some points."""
    total = 0
    for at, (x, y) in enumerate(points):
        factor = y
        for other, (z, _) in enumerate(points):
            if other != at:
                factor = factor * z * pow(z - x, -1, PRIME) % PRIME
        total += factor
    return total % PRIME
