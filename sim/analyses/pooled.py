"""Pooled rows: the regression that no consortium can run, to check that the sums are what it would give."""

import numpy as np

from sim.analyses.features import Panel
from sim.analyses.newton import NotEstimable
from sim.analyses.scores import telling, z_scores
from sim.arrays import Floats

MOST_INDICATORS = 200  # sites up to which pooled rows are analysed with an indicator a site, to check the sums


def pooled_z(panel: Panel) -> Floats | None:
    """z scores of the pooled rows, with an indicator a site, by one regression in one place.

    None for many sites, or where the patients of one are too few to tell its level.
    """
    told = [rows for rows in panel.sites if 0 < rows["y"].mean() < 1]
    if len(told) > MOST_INDICATORS or not told:
        return None
    indicator = [np.eye(len(told))[np.full(len(rows["y"]), at)] for at, rows in enumerate(told)]
    whole = {name: np.concatenate([rows[name] for rows in told]) for name in ("g", "y")}
    covariates, rows = telling(panel.covariates, told)
    x = np.hstack([np.concatenate([one["x"] for one in rows]), np.concatenate(indicator)])
    names = [*covariates, *(f"site {at}" for at in range(len(told)))]
    try:
        return z_scores(names, [{**whole, "x": x}], own=False)[0]
    except NotEstimable:
        return None
