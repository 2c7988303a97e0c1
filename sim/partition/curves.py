"""Kaplan-Meier survival curves of all sites at once."""

from typing import NamedTuple

import numpy as np

from sim.arrays import Bools, Floats, Ints


class Curves(NamedTuple):
    """Kaplan-Meier estimates, sites end to end; site s owns entries [start[s], start[s + 1])."""

    time: Floats  # [n] distinct times of a site, ascending
    survival: Floats  # [n] just after that time
    start: Ints  # [S + 1]

    def of(self, site: int) -> tuple[Floats, Floats]:
        """Times [m] and survival [m] at the steps of a site's curve, which starts at (0, 1)."""
        part = slice(self.start[site], self.start[site + 1])
        return np.r_[0.0, self.time[part]], np.r_[1.0, self.survival[part]]


def kaplan_meier(time: Floats, event: Bools, site: Ints, sites: int) -> Curves:
    """Product-limit estimate of every site: Kaplan and Meier, JASA 1958; time, event and site [R].

    Patients who are censored at a time of death count as at risk at that time.
    """
    order = np.lexsort((time, site))
    t, s = time[order], site[order]
    new = np.r_[True, (np.diff(t) != 0) | (np.diff(s) != 0)][: len(t)]
    step_of = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    died = np.bincount(step_of, weights=event[order], minlength=len(first))
    size = np.bincount(s, minlength=sites)
    risk = (np.cumsum(size)[s] - np.arange(len(s)))[first]
    # Where the last patient of a site dies the curve ends at 0, whose logarithm is not taken.
    ends_at_zero = died == risk
    step = np.log1p(-np.where(ends_at_zero, 0.0, died / risk))
    total = np.cumsum(step)
    start = np.searchsorted(s[first], np.arange(sites + 1))
    before = np.r_[0.0, total][start[s[first]]]
    return Curves(t[first], np.where(ends_at_zero, 0.0, np.exp(total - before)), start)
