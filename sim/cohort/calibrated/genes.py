"""Genes: many features like gene expression, few of them prognostic, in panels that some centres lack."""

import numpy as np
import scipy
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.cohort.calibrated.published import population
from sim.random import counted, inside, key, scatter, stream

MAX_FEATURES = 4096  # most features per patient that have random numbers of their own
PREFIX = "gene_"


def names(count: int) -> list[str]:
    """Names of p features: `gene_0001`, `gene_0002`, ..."""
    return [f"{PREFIX}{number:04d}" for number in range(1, count + 1)]


def panels(count: int) -> list[slice]:
    """Features of each panel: neighbours within it are correlated, and a centre lacks the whole panel or nothing."""
    size = int(population()["genes"].value[0])
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def effects(count: int, cancers: tuple[str, ...]) -> Floats:
    """True log hazard ratios [cancers, p]: some genes act in every cancer, as many in one only; the rest are 0.

    The same for every seed and consortium.
    """
    table = np.zeros((len(cancers), count))
    if not count:
        return table
    shared, own, least, most = population()["gene_effects"].value

    def draw(many: int, among: NDArray[np.int64], *path: str) -> tuple[NDArray[np.int64], Floats]:
        rng = stream(0, "calibrated", "genes", count, *path)
        place = rng.choice(among, many, replace=False)
        return place, rng.uniform(least, most, many) * rng.choice([-1.0, 1.0], many)

    everywhere, size = draw(int(shared), np.arange(count), "shared")
    table[:, everywhere] = size
    for at, name in enumerate(cancers):
        place, size = draw(int(own), np.setdiff1d(np.arange(count), everywhere), name)
        table[at, place] = size
    return table


def total_sd(beta: Floats) -> Floats:
    """Standard deviation over patients of `beta x`, for effects beta [cancers, p] and features x [p]; [cancers]."""
    correlation = population()["genes"].value[1]
    variance = np.zeros(len(beta))
    for panel in panels(beta.shape[1]):
        place = np.arange(beta[:, panel].shape[1])
        inside = correlation ** np.abs(place[:, None] - place)
        variance += np.einsum("ci,ij,cj->c", beta[:, panel], inside, beta[:, panel])
    return np.sqrt(variance)


def fill_expression(x: NDArray[np.float32], seed: int, centre: NDArray[np.int64], row: NDArray[np.int64]) -> None:
    """Fill x [n, p] with the features of n patients: standard normal, neighbours in a panel correlated as AR(1).

    A number is keyed by patient and feature, so it depends neither on other patients nor on the number of features.
    """
    correlation = population()["genes"].value[1]
    start = scatter(key(seed, "calibrated", "genes"), centre)
    for panel in panels(x.shape[1]):
        place = row[:, None] * MAX_FEATURES + np.arange(panel.start, panel.stop)
        z = scipy.special.ndtri(inside(counted(start[:, None], place)))
        for at in range(1, z.shape[1]):
            z[:, at] = correlation * z[:, at - 1] + np.sqrt(1 - correlation**2) * z[:, at]
        x[:, panel] = z


def genetic_log_hazard(x: NDArray[np.float32], beta: Floats, cancer: NDArray[np.int64]) -> Floats:
    """Log hazard from features x [n, p], by the effects beta [cancers, p] in each patient's cancer [n]; [n]."""
    total = np.zeros(len(x))
    for feature in np.flatnonzero(beta.any(axis=0)):
        total += beta[cancer, feature] * x[:, feature]
    return total


def mask_missing_panels(x: NDArray[np.float32], lacks: NDArray[np.bool_]) -> None:
    """Set x [n, p] to NaN, in place, where a patient's centre lacks the panel; `lacks` is bool [n, panels]."""
    for panel, gone in zip(panels(x.shape[1]), lacks.T, strict=True):
        x[gone, panel] = np.nan
