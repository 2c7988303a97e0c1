"""Genes: many features like expression, few of which matter, in panels that some centres lack."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sim.arrays import Floats
from sim.cohort.calibrated.published import population
from sim.random import counted, inside, key, scatter, stream

MOST = 4096  # features a patient has numbers for
PREFIX = "gene_"


def names(count: int) -> list[str]:
    """`gene_0001`, `gene_0002`, ...; [p]."""
    return [f"{PREFIX}{number:04d}" for number in range(1, count + 1)]


def panels(count: int) -> list[slice]:
    """Features of each panel: neighbours inside are correlated, and a centre lacks all of a panel or none."""
    size = int(population()["genes"].value[0])
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]


def effects(count: int, cancers: tuple[str, ...]) -> Floats:
    """True log hazard ratios, [cancers, p]: some are those of every cancer, as many belong to one; the rest are 0.

    They are part of nature: the same for every seed and consortium.
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


def spread(beta: Floats) -> Floats:
    """Standard deviation over patients of the sum of effects [cancers, p] times features; [cancers]."""
    correlation = population()["genes"].value[1]
    variance = np.zeros(len(beta))
    for panel in panels(beta.shape[1]):
        place = np.arange(beta[:, panel].shape[1])
        inside = correlation ** np.abs(place[:, None] - place)
        variance += np.einsum("ci,ij,cj->c", beta[:, panel], inside, beta[:, panel])
    return np.sqrt(variance)


def express(x: NDArray[np.float32], seed: int, centre: NDArray[np.int64], row: NDArray[np.int64]) -> None:
    """Fill x [n, p] with the features of n patients: standard normal, neighbours in a panel correlated as AR(1).

    Patient and feature decide a number: neither the other patients nor the number of features does.
    """
    correlation = population()["genes"].value[1]
    start = scatter(key(seed, "calibrated", "genes"), centre)
    for panel in panels(x.shape[1]):
        place = row[:, None] * MOST + np.arange(panel.start, panel.stop)
        z = ndtri(inside(counted(start[:, None], place)))
        for at in range(1, z.shape[1]):
            z[:, at] = correlation * z[:, at - 1] + np.sqrt(1 - correlation**2) * z[:, at]
        x[:, panel] = z


def action(x: NDArray[np.float32], beta: Floats, cancer: NDArray[np.int64]) -> Floats:
    """What features x [n, p] add to patients' log hazards by the effects [cancers, p] in their cancer [n]; [n]."""
    total = np.zeros(len(x))
    for feature in np.flatnonzero(beta.any(axis=0)):
        total += beta[cancer, feature] * x[:, feature]
    return total


def lose(x: NDArray[np.float32], lacks: NDArray[np.bool_]) -> None:
    """Put NaN in x [n, p] where a patient's centre lacks a panel, [n, panels]."""
    for panel, gone in zip(panels(x.shape[1]), lacks.T, strict=True):
        x[gone, panel] = np.nan
