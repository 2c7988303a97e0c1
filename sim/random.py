"""Random numbers by key: a (seed, path) gives the same numbers in any process and in any order of calls.

`stream` is a numpy Generator on Philox, a counter-based generator (Salmon et al., SC 2011): draw j of a stream
depends on the key and on j alone, so the first n draws never change when more are asked for.
`scatter` and `counted` are the bulk form: one 64-bit word per element of an array, no generator object per element.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Words

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(seed: int, *path: int | str) -> int:
    """128-bit key of a path such as `(seed, "batches", round)`."""
    text = "/".join(f"{type(part).__name__}:{part}" for part in (int(seed), *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def stream(seed: int, *path: int | str) -> np.random.Generator:
    """Generator whose numbers depend on the seed and the path alone."""
    return np.random.Generator(np.random.Philox(key=key(seed, *path)))


def scatter(word: int, *elements: NDArray[np.integer]) -> Words:
    """Uniform 64-bit words, one per element of the integer arrays (SplitMix64, Steele et al., OOPSLA 2014)."""
    mixed: Words = np.array(word & 0xFFFF_FFFF_FFFF_FFFF, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for element in elements:
            mixed = mix((mixed ^ element.astype(np.uint64)) + GOLDEN)
    return mixed


def counted(word: Words, count: NDArray[np.int64]) -> Words:
    """Word number `count` (from 0) of the SplitMix64 sequence that starts at each `word`; [n], [n] -> [n]."""
    return mix(word + (count.astype(np.uint64) + np.uint64(1)) * GOLDEN)


def mix(words: Words) -> Words:
    """Finaliser of SplitMix64: each bit of the input flips every bit of the result with probability 1/2.

    Compiled loops call it too, by way of sim.jit, which therefore watches this file for changes.
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def uniform(words: Words) -> NDArray[np.float64]:
    """Doubles in [0, 1) from 64-bit words."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def inside(words: Words) -> NDArray[np.float64]:
    """Doubles in (0, 1) from 64-bit words, for laws that have no quantile at 0."""
    return np.maximum(uniform(words), 2.0**-54)


def gaussian(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal numbers from pairs of uniform ones in [0, 1) (Box and Muller 1958); any shape."""
    return np.asarray(np.sqrt(-2 * np.log(np.maximum(one, 2.0**-54))) * np.cos(2 * np.pi * two))


def site_keys(names: tuple[str, ...]) -> NDArray[np.uint64]:
    """Random-number key of each site, from its name alone, so that sites may come and go; [S]."""
    return np.array([key(0, "site", name) & 0xFFFF_FFFF_FFFF_FFFF for name in names], dtype=np.uint64)
