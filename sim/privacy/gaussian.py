"""The Gaussian mechanism, exactly: sums of bounded contributions with noise, however many and however adaptive.

Releases of noise multipliers z_1, z_2, ... are together one Gaussian mechanism with `mu^2 = sum 1 / z_j^2`, mu being
the sensitivity over the deviation (Dong, Roth, Su, JRSS B 2022, Corollary 3.3).
"""

import math

import scipy

EXACT = "analytic Gaussian (Balle, Wang, ICML 2018)"


def log_delta(epsilon: float, mu: float) -> float:
    """Logarithm of the least delta of a Gaussian mechanism at this epsilon; Balle and Wang 2018, Theorem 8."""
    high = float(scipy.special.log_ndtr(mu / 2 - epsilon / mu))
    low = epsilon + float(scipy.special.log_ndtr(-mu / 2 - epsilon / mu))
    return high + math.log(-math.expm1(min(low - high, -1e-300))) if low < high else -math.inf


def epsilon(mu: float, delta: float) -> float:
    """Least epsilon of a Gaussian mechanism at this delta; 0 without a release, inf without noise."""
    if mu == 0 or log_delta(0.0, mu) <= math.log(delta):
        return 0.0
    if not math.isfinite(mu):
        return math.inf
    above = 1.0
    while log_delta(above, mu) > math.log(delta):
        above *= 2
    return float(
        scipy.optimize.brentq(lambda at: log_delta(at, mu) - math.log(delta), 0.0, above, xtol=1e-12, rtol=1e-12)
    )
