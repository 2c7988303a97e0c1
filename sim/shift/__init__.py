"""Shift: differences between sites in how patients are recorded and, on request, in what happens to them.

Applied after the partition and before the federation is built. A pure function of (cohort, outcome, sites, seed) and
its settings, the dials. Random numbers are keyed by the name of the site and by the patient, so a site does not depend
on the order of rows, on other sites or on other dials, and a dial that is turned up keeps the changes that it made
before. With all dials at 0 the cohort is returned as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sim.arrays import Bools, Names
from sim.checks import within
from sim.cohort.table import Cohort
from sim.cohort.validate import columns_of
from sim.lazy import pd
from sim.shift.assay import Assay
from sim.shift.base import SiteDraws
from sim.shift.coding import Coding
from sim.shift.concept import Concept, Practice
from sim.shift.faults import Faults
from sim.shift.missing import Missing
from sim.shift.outcomes import Ascertainment, FollowUp
from sim.shift.stage import StageMigration


@dataclass
class Shift:
    """The `shift` settings. `het` sets all dials of recording that are not set themselves, and no other dial."""

    het: float = 0.0  # 0..1.5; 1 = as much as published hospitals differ; sources in docs/partitions.md
    practice: Practice = field(default_factory=Practice)
    concept: Concept = field(default_factory=Concept)
    followup: FollowUp = field(default_factory=FollowUp)
    ascertainment: Ascertainment = field(default_factory=Ascertainment)
    stage: StageMigration = field(default_factory=StageMigration)
    assay: Assay = field(default_factory=Assay)
    coding: Coding = field(default_factory=Coding)
    missing: Missing = field(default_factory=Missing)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        within("shift.het", self.het, 0, 1.5)

    @property
    def active(self) -> bool:
        """Whether any dial is above 0."""
        recorded = (self.followup, self.ascertainment, self.stage, self.assay, self.coding, self.missing)
        happens = self.practice.spread or self.concept.tau or self.concept.intercept
        return bool(happens) or self.faults.active or any(dials.active(self.het) for dials in recorded)

    def apply(self, cohort: Cohort, outcome: str, sites: Names, seed: int) -> Cohort:
        """The cohort as the sites record it; sites [R], one per row. First what happens is shifted, then recording."""
        if not self.active:
            return cohort
        draws = SiteDraws.of(cohort, sites, seed)
        _, shifted, table = deque(self.steps(cohort, outcome, draws), maxlen=1).pop()
        notes = {**shifted.notes, "faults": self.faults.in_words(draws)} if self.faults.active else shifted.notes
        return replace(shifted, table=shifted.derive(table), notes=notes)

    def steps(self, cohort: Cohort, outcome: str, draws: SiteDraws) -> Iterator[tuple[list[str], Cohort, pd.DataFrame]]:
        """After each active kind of shift: its settings, the cohort as it happened, the table as recorded so far."""
        shifted, het = cohort, self.het
        if self.practice.spread:
            shifted = self.practice.apply(shifted, outcome, draws)
            yield ["shift.practice.spread"], shifted, shifted.table
        if self.concept.tau or self.concept.intercept:
            shifted = self.concept.apply(shifted, outcome, draws)
            yield ["shift.concept.tau", "shift.concept.intercept"], shifted, shifted.table
        table = shifted.table
        for outcomes in (self.followup, self.ascertainment):
            if outcomes.active(het):
                table = outcomes.apply(table, draws, het, shifted.outcomes)
                yield outcomes.active_settings(het), shifted, table
        for columns in (self.stage, self.assay, self.coding, self.missing):
            if columns.active(het):
                table = columns.apply(table, draws, het)
                yield columns.active_settings(het), shifted, table
        if self.faults.active:
            table = self.faults.apply(table, draws, self.coding.factors, shifted.outcomes)
            yield self.faults.outcome_settings, shifted, table

    def changers(self, cohort: Cohort, outcome: str, sites: Names, seed: int, rows: Bools) -> list[str]:
        """Settings that changed the label, or the event, in some of these rows, bool [R]; sites [R]."""
        kind = cohort.outcome(outcome)
        column = columns_of(kind)[-1]
        before, found = cohort.table[column].astype(str), list[str]()
        for dials, _, table in self.steps(cohort, outcome, SiteDraws.of(cohort, sites, seed)):
            after = table[column].astype(str)
            found += dials if (before != after)[rows].any() else []
            before = after
        return list(dict.fromkeys(found))
