"""Outcome shift: labels and events misread, deaths not linked, follow-up that ends or is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sim.checks import Refused, one_of
from sim.cohort.outcomes import DAYS_PER_YEAR, Binary, Outcome, Survival
from sim.lazy import pd
from sim.shift.base import NewColumns, ShiftDials, SiteDraws, event_outcomes


@dataclass
class Ascertainment(ShiftDials):
    """Events recorded with the site's sensitivity and specificity, and lost where the site has no linkage to deaths.

    Sensitivity and specificity vary over sites as those of assays. A missed event of survival becomes a censoring at
    its time. No rate is published for lacking linkage, so `het` does not set it.
    """

    kind: ClassVar[str] = "ascertainment"
    at_het_one: ClassVar[Mapping[str, float]] = {"insensitivity": 2 / 42, "unspecificity": 2 / 62}
    limits: ClassVar[Mapping[str, float]] = {"insensitivity": 1.0, "unspecificity": 1.0, "unlinked": 1.0}

    outcomes: list[str] = field(default_factory=list)  # names; empty = all of the cohort that have an event
    insensitivity: float | None = None  # 0..1; mean over sites of the share of events recorded as none
    unspecificity: float | None = None  # 0..1; mean over sites of the share of non-events recorded as event
    unlinked: float | None = None  # 0..1; a site loses U(0, this) of the patients at a random time of their follow-up

    def __post_init__(self) -> None:
        self.check()

    def apply(self, table: pd.DataFrame, draws: SiteDraws, het: float, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
        """The table with its outcomes as the sites recorded them; refuses a name that is no outcome with an event."""
        for name in self.outcomes:
            one_of("shift.ascertainment.outcomes", name, event_outcomes(table, outcomes))
        chosen = {
            name: outcome
            for name, outcome in event_outcomes(table, outcomes).items()
            if not self.outcomes or name in self.outcomes
        }
        if self.explicit("unlinked") and not any(isinstance(kind, Survival) for kind in chosen.values()):
            raise Refused(
                "shift.ascertainment.unlinked: needs a survival outcome, but the cohort has none. Set it to 0."
            )
        missed, false = self.value("insensitivity", het), self.value("unspecificity", het)
        changed: NewColumns = {}
        for name, outcome in chosen.items():
            column = outcome.label if isinstance(outcome, Binary) else outcome.event
            event = table[column].to_numpy(dtype=bool)
            event = draws.misread(event, missed, false, "ascertainment", ("se", "sp"), name)
            if isinstance(outcome, Survival):
                share = self.value("unlinked", het) * draws.site_uniforms("ascertainment", "unlinked")
                lost = draws.affected(share, "ascertainment", "unlinked")
                time = table[outcome.time_days].to_numpy(dtype=np.float64)
                last = time * draws.row_uniforms("ascertainment", "last")
                changed[outcome.time_days] = np.where(lost, last, time)
                event = event & ~lost
            changed[column] = event
        return table.assign(**changed)


@dataclass
class FollowUp(ShiftDials):
    """Survival followed up to the administrative end of the site, and lost before it at a constant rate.

    Values at het = 1: site medians of follow-up from 382 to 1193 days (TCGA) give ends between a quarter and all of the
    longest follow-up, 2 to 8 years of 8; a loss of 3 to 8 % per year is a choice of ours.
    """

    kind: ClassVar[str] = "followup"
    at_het_one: ClassVar[Mapping[str, float]] = {"cutoff": 0.75, "loss": 0.08}
    limits: ClassVar[Mapping[str, float]] = {"cutoff": 0.99, "loss": 10.0}

    cutoff: float | None = None  # 0..0.99; a site's follow-up ends at 1 - U(0, this) of the longest in the cohort
    loss: float | None = None  # 0..10 per year; a site loses patients at U(3/8, 1) x this

    def __post_init__(self) -> None:
        self.check()

    def apply(self, table: pd.DataFrame, draws: SiteDraws, het: float, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
        """The table with times and events of survival as far as they were followed up."""
        timed = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Survival)}
        if not timed and self.explicit("cutoff", "loss"):
            raise Refused("shift.followup: needs a survival outcome, but the cohort has none. Set it to 0.")
        cutoff, loss = self.value("cutoff", het), self.value("loss", het)
        changed: NewColumns = {}
        for outcome in timed.values():
            time = table[outcome.time_days].to_numpy(dtype=np.float64)
            end = time.max() * (1 - cutoff * draws.site_uniforms("followup", "cutoff"))[draws.site]
            rate = (loss * (3 + 5 * draws.site_uniforms("followup", "loss")) / 8)[draws.site]
            with np.errstate(divide="ignore"):
                lost = -np.log(draws.row_uniforms("followup", "loss")) / rate * DAYS_PER_YEAR
            seen = np.minimum(end, lost)
            changed[outcome.time_days] = np.minimum(time, seen)
            changed[outcome.event] = table[outcome.event].to_numpy(dtype=bool) & (time <= seen)
        return table.assign(**changed)
