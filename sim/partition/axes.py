"""Axes: reasons why a patient goes to one site rather than to another, as affinities [N, K].

An affinity is a log-odds: with strength kappa, exp(kappa (a_ik - a_il)) multiplies the odds that patient i goes to site
k and not to site l. A term that is the same for all sites, or for all patients, cancels. Zero is no preference.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.partition.columns import Levels

EARTH_KM = 6371.0  # mean radius


class Axis(NamedTuple):
    """Affinity of patients to sites, as a product: m facts about each patient times m coefficients of each site.

    patient  numbers of patients [n] -> their facts [n, m]
    site     coefficients [m, K]
    link     from the product to the affinity, elementwise; None = the product is the affinity
    """

    patient: Callable[[Ints], Floats]
    site: Floats
    link: Callable[[Floats], Floats] | None = None

    def of(self, rows: Ints) -> Floats:
        """Affinities of the patients with these numbers, [n, K]."""
        product = self.patient(rows) @ self.site
        return product if self.link is None else self.link(product)


def total_affinity(axes: Sequence[tuple[float, Axis]], sites: int) -> Callable[[Ints], Floats]:
    """Numbers of patients [n] -> sum over the pairs (kappa, axis) of kappa times affinity, [n, K]."""
    # Axes without a link are one matrix product together.
    linear = [(kappa, axis) for kappa, axis in axes if axis.link is None]
    linked = [(kappa, axis) for kappa, axis in axes if axis.link is not None]
    coefficients = np.vstack([np.zeros((1, sites)), *(kappa * axis.site for kappa, axis in linear)])

    def affinity(rows: Ints) -> Floats:
        facts = np.hstack([np.zeros((len(rows), 1)), *(axis.patient(rows) for _, axis in linear)])
        total = facts @ coefficients
        for kappa, axis in linked:
            total += kappa * axis.of(rows)
        return np.asarray(total)

    return affinity


def tilt(levels: Levels, z: Floats) -> Axis:
    """Log-normal tilt: a site's share of level c is multiplied by exp(kappa z_kc), then sizes are kept; z [K, C]."""
    facts = np.vstack([np.eye(len(levels.names)), np.zeros(len(levels.names))])  # the last row serves code -1
    return Axis(lambda rows: facts[levels.code[rows]], z.T)


def gradient(value: Floats, z: Floats) -> Axis:
    """Per unit of a standardised number, log-odds of kappa z_k; value [N], z [K]."""
    return Axis(lambda rows: value[rows, None], z[None, :])


def traits(facts: Floats, coefficients: Floats) -> Axis:
    """Several facts at once, with a site's own coefficient for each; facts [N, m], coefficients [K, m]."""
    return Axis(lambda rows: facts[rows], coefficients.T)


def referral(rare: Bools, centres: Bools) -> Axis:
    """Rare cases go to referral centres: odds times exp(kappa); rare [N], centres [K]."""
    return Axis(lambda rows: rare[rows, None].astype(np.float64), centres[None, :].astype(np.float64))


def home(levels: Levels, region: Ints) -> Axis:
    """Patients stay in their region: odds times exp(kappa) for the sites in it; region [K]."""
    return tilt(levels, np.eye(len(levels.names))[region])


def catchment(latitude: Floats, longitude: Floats, seat: Ints, scale_km: float) -> Axis:
    """Nearer is likelier: affinity is -distance / scale, along the great circle; latitude and longitude in degrees [N].

    Sites lie where the patients with the numbers `seat` [K] live. A patient without a place (NaN) has no preference.
    """
    phi, theta = np.deg2rad(latitude), np.deg2rad(longitude)
    point = np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)
    known = ~np.isnan(point).any(axis=1)
    # A fourth coordinate of 1 for the known and a zero vector for the unknown, whose product then is 0.
    place = np.where(known[:, None], np.column_stack([point, np.ones(len(point))]), 0.0)
    site = np.vstack([point[seat].T, np.ones(len(seat))])

    def affinity(product: Floats) -> Floats:
        angle = np.arccos(np.clip(product - 1, -1, 1))
        return np.asarray(np.where(product == 0, 0.0, -EARTH_KM / scale_km * angle))

    return Axis(lambda rows: place[rows], site, affinity)


def windows(rank: Floats, centre: Floats, width: float) -> Axis:
    """A site sees patients of its time: affinity `-((rank - centre) / width)^2 / 2`; rank [N] in (0, 1), centre [K]."""
    known = ~np.isnan(rank)
    place = np.nan_to_num(rank)
    facts = np.column_stack([place, known.astype(np.float64)])
    # The square of the rank is the same for all sites and cancels.
    return Axis(lambda rows: facts[rows], np.stack([centre / width**2, -((centre / width) ** 2) / 2]))
