"""Renyi differential privacy of Gaussian noise on Poisson-sampled sums.

Mironov, Talwar, Zhang, Renyi Differential Privacy of the Sampled Gaussian Mechanism, arXiv 1908.10530, 2019. Sampling
is Poisson: every record is in a batch by a coin of its own. A shuffled order is another law.
"""

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from sim.arrays import Floats

SAMPLED = "RDP of the Poisson-sampled Gaussian (Mironov et al. 2019; conversion of Canonne et al., NeurIPS 2020)"
TERMS = 8192  # of the series of `between`, whose terms alternate and fall as i^-(order + 2)
ORDERS: NDArray[np.float64] = np.array(
    [1.1, 1.25, 1.5, 1.75, 2.25, 2.5, 3.5, 4.5, *range(2, 65), *range(68, 128, 4), *(2**j for j in range(7, 13))], float
)


def sampled(q: float, z: float, orders: NDArray[np.float64] = ORDERS) -> Floats:
    """RDP of one release at each order: records with chance q in (0, 1], deviation z times the bound of each."""
    if z == 0:
        return np.full(len(orders), np.inf)
    if q == 1:
        return orders / (2 * z**2)
    logs = [whole(q, z, int(order)) if order == int(order) else between(q, z, order) for order in orders]
    return np.asarray(np.maximum(logs, 0.0) / (orders - 1))


def whole(q: float, z: float, order: int) -> float:
    """Log of A(order), a binomial sum; section 3.3."""
    k = np.arange(order + 1)
    return float(
        scipy.special.logsumexp(log_binomial(order, k) + k * math.log(q) + (order - k) * math.log1p(-q) + pair(k, z))
    )


def pair(k: NDArray[np.number], z: float) -> Floats:
    """Log of the k-th moment of the likelihood ratio of N(1, z^2) to N(0, z^2)."""
    real = k.astype(np.float64)
    return np.asarray(real * (real - 1) / (2 * z**2))


def between(q: float, z: float, order: float) -> float:
    """Log of A(order) for an order that is no whole number, from two series cut where they meet; section 3.3."""
    middle = z**2 * math.log(1 / q - 1) + 0.5
    i = np.arange(TERMS)
    j = order - i
    size, sign = log_binomial(order, i), binomial_sign(order, i)
    left = size + i * math.log(q) + j * math.log1p(-q) + pair(i, z) + scipy.special.log_ndtr((middle - i) / z)
    right = size + j * math.log(q) + i * math.log1p(-q) + pair(j, z) + scipy.special.log_ndtr((j - middle) / z)
    return float(scipy.special.logsumexp(np.concatenate([left, right]), b=np.concatenate([sign, sign])))


def log_binomial(order: float, k: NDArray[np.int64]) -> Floats:
    """Log of the size of a generalised binomial coefficient."""
    return np.asarray(
        scipy.special.gammaln(order + 1) - scipy.special.gammaln(k + 1) - scipy.special.gammaln(order - k + 1)
    )


def binomial_sign(order: float, k: NDArray[np.int64]) -> Floats:
    """Its sign: every factor `order - j` below zero turns it."""
    return np.where(np.maximum(k - math.ceil(order), 0) % 2 == 1, -1.0, 1.0)


def epsilon(rdp: Floats, delta: float, orders: NDArray[np.float64] = ORDERS) -> float:
    """Least epsilon at this delta; Canonne, Kamath, Steinke, NeurIPS 2020, Proposition 12."""
    at = rdp + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return max(float(at.min()), 0.0)
