"""What a shift did: for every column it touched, how many rows changed, and at which sites least and most."""

import numpy as np
import pandas as pd

from sim.arrays import Names
from sim.cohort.table import Cohort
from sim.factorize import factorize


def changed_columns(before: Cohort, after: Cohort, sites: Names) -> pd.DataFrame:
    """One row per column that the shift changed; sites [R].

    changed                         share of rows that differ
    least, most                     smallest and largest share at a site
    missing before, missing after   share of rows that are not recorded
    """
    names, site = factorize(sites)
    size = np.bincount(site)
    rows = []
    for column in before.table.columns:
        old, new = before.table[column], after.table[column]
        gone, came = old.isna().to_numpy(), new.isna().to_numpy()
        differs = gone != came
        both = ~gone & ~came
        differs[both] = old.to_numpy()[both] != new.to_numpy()[both]
        if differs.any():
            share = np.bincount(site, weights=differs, minlength=len(names)) / size
            rows.append((column, differs.mean(), share.min(), share.max(), gone.mean(), came.mean()))
    return pd.DataFrame(rows, columns=["column", "changed", "least", "most", "missing before", "missing after"])
