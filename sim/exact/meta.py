"""Meta-analysis: the combined estimate of the sites' own estimates, and how much the sites differ."""

from typing import NamedTuple

import numpy as np
import scipy

from sim.arrays import Floats
from sim.stats.intervals import LEVEL


class Meta(NamedTuple):
    """Estimates of K sites combined; NaN where K is too small."""

    sites: int
    fixed: float  # inverse-variance mean: valid if all sites have one effect
    fixed_se: float
    q: float  # Cochran 1954: chi-square with K - 1 degrees of freedom if they do
    p: float
    i2: float  # share of the spread that is not chance; Higgins and Thompson 2002
    tau2: float  # variance of the sites' true effects; DerSimonian and Laird 1986
    random: float  # mean of the sites' true effects
    random_se: float
    next_low: float  # where the true effect of a further site lies; Higgins, Thompson and Spiegelhalter 2009
    next_high: float


def meta(estimate: Floats, se: Floats) -> Meta:
    """Combine estimates [K] with standard errors [K] > 0; K = 0 gives NaN."""
    k = len(estimate)
    if not k:
        return Meta(0, *(float("nan"),) * 10)
    w = se**-2.0
    fixed = float(w @ estimate / w.sum())
    q = float(w @ (estimate - fixed) ** 2)
    df = k - 1
    scale = w.sum() - (w**2).sum() / w.sum()
    tau2 = max(0.0, (q - df) / scale) if df else 0.0
    v = 1 / (se**2 + tau2)
    random, random_se = float(v @ estimate / v.sum()), float(v.sum() ** -0.5)
    nan = float("nan")
    half = scipy.stats.t.ppf((1 + LEVEL) / 2, k - 2) * np.sqrt(tau2 + random_se**2) if k > 2 else nan
    return Meta(
        sites=k,
        fixed=fixed,
        fixed_se=float(w.sum() ** -0.5),
        q=q if df else nan,
        p=float(scipy.stats.chi2.sf(q, df)) if df else nan,
        i2=max(0.0, (q - df) / q) if df and q > 0 else (0.0 if df else nan),
        tau2=float(tau2) if df else nan,
        random=random,
        random_se=random_se,
        next_low=random - half,
        next_high=random + half,
    )
