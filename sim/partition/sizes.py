"""Sizes of sites, drawn before patients are assigned: power law, log-normal law, given weights, or their product."""

import numpy as np
import scipy

from sim.arrays import Floats, Ints
from sim.random import inside, key, scatter


def normals(seed: int, *path: int | str, shape: tuple[int, ...]) -> Floats:
    """Standard normals in an array of this shape, each keyed by its indices: a longer axis keeps the first of them."""
    axes = np.meshgrid(*(np.arange(length) for length in shape), indexing="ij")
    return np.asarray(scipy.special.ndtri(inside(scatter(key(seed, "partition", *path), *axes))))


def relative_sizes(sites: int, power: float, sigma: float, given: list[float], z: Floats) -> Floats:
    """Relative sizes, [K]: given weight (or 1) x rank^-power (Zipf) x exp(sigma z) (log-normal); z [K] normal."""
    weight = np.array(given, dtype=np.float64) if given else np.ones(sites)
    return np.asarray(weight * np.arange(1, sites + 1) ** -power * np.exp(sigma * z))


def apportion(weight: Floats, total: int, least: int) -> Ints:
    """Whole numbers that sum to `total`, in proportion to weight but at least `least` each; [K] -> [K].

    By largest remainders. Needs `total >= least K`. Sites that would fall below `least` get it; the rest is shared.
    """
    exact, low = np.zeros(len(weight)), np.zeros(len(weight), dtype=bool)
    while True:
        rest = total - least * int(low.sum())
        part = np.where(low, 0.0, weight)
        exact = np.where(low, least, part / max(part.sum(), 1e-300) * rest)
        more = ~low & (exact < least)
        if not more.any():
            break
        low |= more
    count = np.floor(exact).astype(np.int64)
    order = np.argsort(count - exact, kind="stable")
    count[order[: total - int(count.sum())]] += 1
    return count
