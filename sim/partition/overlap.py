"""Overlap: patients who are known at two hospitals, each with its own number for them, unlinked by the federation."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype

from sim.arrays import Ints, Names
from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.random import key, scatter, uniform

AGAIN = "/again"  # end of the number of a copy
OFFSET = 2**62  # added to an integer number for its copy


class Overlapping(NamedTuple):
    """A cohort and the sites of its rows [R]; the last n rows are copies of the rows `originals` [n]."""

    cohort: Cohort
    sites: Names
    originals: Ints


def with_overlap(cohort: Cohort, sites: Names, share: float, seed: int) -> Overlapping:
    """The cohort with the rows of some patients repeated at a second site; sites [R].

    Each patient is copied with probability `share`, to another site with probability in proportion to its patients. The
    copy has a patient number of its own, as no site knows that the two are one person; the split does, unless
    `split.linked` is off. Refuses a single site, and patient numbers that leave no room for those of the copies.
    """
    if share == 0:
        return Overlapping(cohort, sites, np.zeros(0, dtype=np.int64))
    names, site = factorize(sites)
    if len(names) < 2:
        raise Refused(f"partition.overlap={share:g}: a second site is needed, but there is only one. Set it to 0.")
    patient, patients = cohort.table["patient"], cohort.patients
    word, home = patients.word[patients.first], site[patients.first]
    size = np.bincount(home, minlength=len(names))
    start = np.cumsum(size) - size
    # A place among the patients of all other sites, end to end; those of the own site are skipped.
    place = (uniform(scatter(key(seed, "partition", "overlap", "site"), word)) * (len(word) - size[home])).astype(int)
    place += np.where(place >= start[home], size[home], 0)
    second = np.searchsorted(start, place, side="right") - 1
    chosen = uniform(scatter(key(seed, "partition", "overlap"), word)) < share
    rows = np.flatnonzero(chosen[patients.inverse])
    copies = cohort.table.iloc[rows].assign(patient=renumbered(patient.iloc[rows], cohort.name))
    if copies["patient"].isin(patient).any():
        raise Refused(
            f"partition.overlap={share:g}: cohort {cohort.name!r} has patients whose number ends in {AGAIN!r}. "
            "Use other patient numbers, or set it to 0."
        )
    truth = cohort.truth
    return Overlapping(
        replace(
            cohort,
            table=pd.concat([cohort.table, copies], ignore_index=True),
            truth=None if truth is None else pd.concat([truth, truth.iloc[rows]], ignore_index=True),
        ),
        np.concatenate([sites, names[second[patients.inverse[rows]]]]),
        rows,
    )


def renumbered(patient: pd.Series, name: str) -> pd.Series:
    """Numbers of the copies of these patients, [n]: OFFSET more, or ending in AGAIN; `name` is that of the cohort."""
    if not is_integer_dtype(patient.dtype):
        return patient.astype(str) + AGAIN
    if len(patient) and not (patient.min() >= 0 and patient.max() < OFFSET):
        raise Refused(
            f"partition.overlap: cohort {name!r} numbers patients from {patient.min()} to {patient.max()}; allowed 0 "
            f"to {OFFSET - 1}. Use other patient numbers, or set it to 0."
        )
    return patient.astype(np.int64) + OFFSET
