"""Outcomes as sites record them: labels misread, deaths not linked, follow-up that ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from sim.checks import Refused, one_of
from sim.cohort.outcomes import DAYS_PER_YEAR, Binary, Outcome, Survival
from sim.shift.base import Changed, Dials, Where, happenings


@dataclass
class Ascertainment(Dials):
    """Labels and events recorded with the site's sensitivity and specificity; linkage that loses the end of follow-up.

    The law over sites is that of assays. A missed event of survival is a censoring at its time. Reference of linkage:
    none is published, so `het` leaves it.
    """

    kind: ClassVar[str] = "ascertainment"
    at_one: ClassVar[Mapping[str, float]] = {"insensitivity": 2 / 42, "unspecificity": 2 / 62}
    limits: ClassVar[Mapping[str, float]] = {"insensitivity": 1.0, "unspecificity": 1.0, "unlinked": 1.0}

    outcomes: list[str] = field(default_factory=list)  # names; empty = all that the cohort has
    insensitivity: float | None = None  # 0..1; mean over sites of the share of events recorded as none
    unspecificity: float | None = None  # 0..1; mean over sites of the share of non-events recorded as event
    unlinked: float | None = None  # 0..1; a site loses U(0, this) of the patients at a random time of their follow-up

    def __post_init__(self) -> None:
        self.check()

    def apply(self, table: pd.DataFrame, where: Where, het: float, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
        """Outcome columns as they were recorded."""
        for name in self.outcomes:
            one_of("shift.ascertainment.outcomes", name, happenings(table, outcomes))
        chosen = {
            name: outcome
            for name, outcome in happenings(table, outcomes).items()
            if not self.outcomes or name in self.outcomes
        }
        if self.explicit("unlinked") and not any(isinstance(kind, Survival) for kind in chosen.values()):
            raise Refused("shift.ascertainment.unlinked: needs a survival outcome, and there is none. Set it to 0.")
        missed, false = self.dial("insensitivity", het), self.dial("unspecificity", het)
        changed: Changed = {}
        for name, outcome in chosen.items():
            column = outcome.label if isinstance(outcome, Binary) else outcome.event
            event = table[column].to_numpy(dtype=bool)
            event = where.misread(event, missed, false, "ascertainment", ("se", "sp"), name)
            if isinstance(outcome, Survival):
                share = self.dial("unlinked", het) * where.sites("ascertainment", "unlinked")
                gone = where.hit(share, "ascertainment", "unlinked")
                time = table[outcome.time_days].to_numpy(dtype=np.float64)
                last = time * where.rows("ascertainment", "last")
                changed[outcome.time_days] = np.where(gone, last, time)
                event = event & ~gone
            changed[column] = event
        return table.assign(**changed)


@dataclass
class FollowUp(Dials):
    """Survival outcomes seen up to the site's administrative end, and lost before it at a constant rate.

    References: site medians of follow-up from 382 to 1193 days (TCGA): ends between a quarter and all of the longest
    follow-up, 2 to 8 years of 8; loss 3 to 8 % a year (design).
    """

    kind: ClassVar[str] = "followup"
    at_one: ClassVar[Mapping[str, float]] = {"cutoff": 0.75, "loss": 0.08}
    limits: ClassVar[Mapping[str, float]] = {"cutoff": 0.99, "loss": 10.0}

    cutoff: float | None = None  # 0..0.99; a site's follow-up ends at 1 - U(0, this) of the longest in the cohort
    loss: float | None = None  # 0..10 a year; a site loses patients at U(3/8, 1) x this

    def __post_init__(self) -> None:
        self.check()

    def apply(self, table: pd.DataFrame, where: Where, het: float, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
        """Times and events as far as they were followed."""
        timed = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Survival)}
        if not timed and self.explicit("cutoff", "loss"):
            raise Refused("shift.followup: needs a survival outcome, and the cohort has none. Set its dials to 0.")
        cutoff, loss = self.dial("cutoff", het), self.dial("loss", het)
        changed: Changed = {}
        for outcome in timed.values():
            time = table[outcome.time_days].to_numpy(dtype=np.float64)
            end = time.max() * (1 - cutoff * where.sites("followup", "cutoff"))[where.site]
            rate = (loss * (3 + 5 * where.sites("followup", "loss")) / 8)[where.site]
            with np.errstate(divide="ignore"):
                lost = -np.log(where.rows("followup", "loss")) / rate * DAYS_PER_YEAR
            seen = np.minimum(end, lost)
            changed[outcome.time_days] = np.minimum(time, seen)
            changed[outcome.event] = table[outcome.event].to_numpy(dtype=bool) & (time <= seen)
        return table.assign(**changed)
