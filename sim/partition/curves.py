"""Survival curves of all sites at once."""

from typing import NamedTuple

import numpy as np

from sim.arrays import Bools, Floats, Ints


class Curves(NamedTuple):
    """Kaplan-Meier estimates, sites end to end; site s owns entries [start[s], start[s + 1])."""

    time: Floats  # [n] distinct times of a site, ascending
    survival: Floats  # [n] just after that time
    start: Ints  # [S + 1]

    def of(self, site: int) -> tuple[Floats, Floats]:
        """Corners of a site's step function, from (0, 1) on."""
        part = slice(self.start[site], self.start[site + 1])
        return np.r_[0.0, self.time[part]], np.r_[1.0, self.survival[part]]


def kaplan_meier(time: Floats, event: Bools, site: Ints, sites: int) -> Curves:
    """Product-limit estimate of every site: Kaplan and Meier, JASA 1958; [R] each.

    Those censored at a time of death were at risk then.
    """
    order = np.lexsort((time, site))
    t, s = time[order], site[order]
    new = np.r_[True, (np.diff(t) != 0) | (np.diff(s) != 0)][: len(t)]
    at = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    died = np.bincount(at, weights=event[order], minlength=len(first))
    size = np.bincount(s, minlength=sites)
    risk = (np.cumsum(size)[s] - np.arange(len(s)))[first]
    # Where the last patient of a site dies, the curve ends at 0: the logarithm is taken of the others only.
    gone = died == risk
    step = np.log1p(-np.where(gone, 0.0, died / risk))
    total = np.cumsum(step)
    start = np.searchsorted(s[first], np.arange(sites + 1))
    before = np.r_[0.0, total][start[s[first]]]
    return Curves(t[first], np.where(gone, 0.0, np.exp(total - before)), start)
