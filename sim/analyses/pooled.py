"""Pooled rows: the regression that no consortium can run, as a check that the sums equal it."""

import numpy as np

from sim.analyses.features import Panel
from sim.analyses.scores import informative, z_scores
from sim.arrays import Floats
from sim.exact.newton import NotEstimable

MOST_INDICATORS = 200  # sites up to which pooled rows are analysed, with one indicator per site


def pooled_z(panel: Panel) -> Floats | None:
    """z scores [p] of the pooled rows, with one indicator per site, by one regression in one place.

    None for more than MOST_INDICATORS sites, or where the patients of one are too few to estimate its intercept.
    """
    sites = [rows for rows in panel.sites if 0 < rows["y"].mean() < 1]
    if len(sites) > MOST_INDICATORS or not sites:
        return None
    indicator = [np.eye(len(sites))[np.full(len(rows["y"]), at)] for at, rows in enumerate(sites)]
    whole = {name: np.concatenate([rows[name] for rows in sites]) for name in ("g", "y")}
    covariates, rows = informative(panel.covariates, sites)
    x = np.hstack([np.concatenate([one["x"] for one in rows]), np.concatenate(indicator)])
    names = [*covariates, *(f"site {at}" for at in range(len(sites)))]
    try:
        return z_scores(names, [{**whole, "x": x}], site_intercepts=False)[0]
    except NotEstimable:
        return None
