"""Overlap: patients who are known at two hospitals, under a number of each, for a federation does not link them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype

from sim.arrays import Ints, Names
from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.factorize import coded
from sim.random import key, scatter, uniform

AGAIN = "/again"  # ends the second number of a patient
OFFSET = 2**62  # added to a number that is an integer


class Copied(NamedTuple):
    """A cohort and the sites of its rows [R]; the last rows are copies of the rows `again` [n]."""

    cohort: Cohort
    sites: Names
    again: Ints


def copied(cohort: Cohort, sites: Names, share: float, seed: int) -> Copied:
    """The cohort with the rows of some patients once more at a second site.

    Each patient is copied with chance `share`, to another site in proportion to its patients. A copy has a number of
    its own, so that sites do not know the two for one; the split does, unless `split.linked` is off.
    """
    if share == 0:
        return Copied(cohort, sites, np.zeros(0, dtype=np.int64))
    names, site = coded(sites)
    if len(names) < 2:
        raise Refused(f"partition.overlap={share:g}: a second site is needed, and there is one. Set it to 0.")
    patient, whose = cohort.table["patient"], cohort.patients
    word, home = whose.word[whose.first], site[whose.first]
    size = np.bincount(home, minlength=len(names))
    start = np.cumsum(size) - size
    # A place among the patients of the other sites, who stand end to end with the own site left out.
    place = (uniform(scatter(key(seed, "partition", "overlap", "site"), word)) * (len(word) - size[home])).astype(int)
    place += np.where(place >= start[home], size[home], 0)
    second = np.searchsorted(start, place, side="right") - 1
    chosen = uniform(scatter(key(seed, "partition", "overlap"), word)) < share
    rows = np.flatnonzero(chosen[whose.back])
    again = cohort.table.iloc[rows].assign(patient=renumbered(patient.iloc[rows], cohort.name))
    if again["patient"].isin(patient).any():
        raise Refused(
            f"partition.overlap={share:g}: cohort {cohort.name!r} has patients whose number ends in {AGAIN!r} already."
        )
    truth = cohort.truth
    return Copied(
        replace(
            cohort,
            table=pd.concat([cohort.table, again], ignore_index=True),
            truth=None if truth is None else pd.concat([truth, truth.iloc[rows]], ignore_index=True),
        ),
        np.concatenate([sites, names[second[whose.back[rows]]]]),
        rows,
    )


def renumbered(patient: pd.Series, name: str) -> pd.Series:
    """The number of every copy."""
    if not is_integer_dtype(patient.dtype):
        return patient.astype(str) + AGAIN
    if len(patient) and not (patient.min() >= 0 and patient.max() < OFFSET):
        raise Refused(
            f"partition.overlap: cohort {name!r} numbers patients from {patient.min()} to {patient.max()}; allowed 0 "
            f"to {OFFSET - 1}. Number them otherwise, or set it to 0."
        )
    return patient.astype(np.int64) + OFFSET
