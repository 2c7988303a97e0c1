"""A partition deals the rows of a cohort to sites: a pure function of (cohort, outcome, seed).

Draws are keyed by patient, so the order of the table does not matter and all records of a patient go to one site.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.cohort.table import Binary, Cohort

Sites = NDArray[np.str_]  # [R] name of the site of every row
DRAWS = 100  # redraws before a request counts as impossible


@dataclass
class Partition:
    """Settings that every partition shares."""

    min_rows: int = 10  # >= 1 rows below which a site is refused
    min_events: int = 1  # >= 0 events (and, for a yes-or-no outcome, non-events) below which a site is refused

    def __post_init__(self) -> None:
        within("partition.min_rows", self.min_rows, 1)
        within("partition.min_events", self.min_events, 0)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        raise NotImplementedError


@dataclass(frozen=True)
class People:
    """The patients of a cohort, in an order that does not depend on the table's.

    key    uint64 [Q] hash of each patient
    event  bool [Q]: some record of the patient has the event
    back   int [R]: the patient of every row
    """

    key: NDArray[np.uint64]
    event: NDArray[np.bool_]
    back: NDArray[np.int64]

    @classmethod
    def of(cls, cohort: Cohort, outcome: str) -> "People":
        """Patients by their hash."""
        key, back = np.unique(pd.util.hash_array(cohort.table["patient"].to_numpy()), return_inverse=True)
        event = np.zeros(len(key), dtype=bool)
        np.logical_or.at(event, back, cohort.events(outcome))
        return cls(key, event, back)


def names(sites: int) -> NDArray[np.str_]:
    """site-1 ..., with leading zeros so that names sort as numbers do."""
    width = len(str(sites))
    return np.array([f"site-{number:0{width}d}" for number in range(1, sites + 1)])


def lacking(
    partition: Partition, site: NDArray[np.int64], cohort: Cohort, outcome: str, sites: int
) -> dict[str, list[int]]:
    """Numbers of the sites that fall short: reason -> sites; site int [R]."""
    event = cohort.events(outcome)
    rows = np.bincount(site, minlength=sites)
    had = np.bincount(site, weights=event, minlength=sites)
    short = {
        f"with fewer than {partition.min_rows} rows": rows < partition.min_rows,
        f"with fewer than {partition.min_events} events": had < partition.min_events,
    }
    if isinstance(cohort.outcome(outcome), Binary):
        short[f"with fewer than {partition.min_events} non-events"] = rows - had < partition.min_events
    return {reason: np.flatnonzero(low).tolist() for reason, low in short.items() if low.any()}


def draw(
    partition: Partition,
    label: str,
    remedy: str,
    cohort: Cohort,
    outcome: str,
    sites: int,
    attempt: Callable[[People, int], NDArray[np.int64]],
) -> Sites:
    """Redraw until every site has enough; `attempt(people, number)` gives the site of every patient [Q]."""
    people = People.of(cohort, outcome)
    for number in range(DRAWS):
        site = attempt(people, number)[people.back]
        short = lacking(partition, site, cohort, outcome, sites)
        if not short:
            return names(sites)[site]
    raise Refused(refusal(label, f"after {DRAWS} draws", short, names(sites), sites, remedy))


def refusal(label: str, when: str, short: dict[str, list[int]], called: Sites, sites: int, remedy: str) -> str:
    """Which sites fall short, and what to do."""
    parts = []
    for reason, which in short.items():
        shown = ", ".join(called[which[:5]]) + (", ..." if len(which) > 5 else "")
        parts.append(f"{len(which)} of {sites} sites {reason} ({shown})")
    return f"{label} left {' and '.join(parts)} {when}; {remedy}."


def digest(sites: Sites) -> str:
    """Fingerprint of who holds what."""
    return hashlib.blake2b("\n".join(sites.tolist()).encode(), digest_size=16).hexdigest()
