"""Shift: how what is recorded, and at will what happens, differs between the sites of a partition.

After the partition and before the federation. A pure function of (cohort, outcome, sites, seed) and the dials: numbers
are keyed by the site's name and by the patient, so that order, other sites and other dials change nothing, and a dial
that is turned further keeps what it had done. With all dials at 0 the cohort is returned as it is.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pandas as pd

from sim.arrays import Bools, Names
from sim.checks import within
from sim.cohort.outcomes import Survival
from sim.cohort.table import Cohort
from sim.shift.assay import Assay
from sim.shift.base import Where
from sim.shift.coding import Coding
from sim.shift.concept import Concept, Practice
from sim.shift.faults import Faults
from sim.shift.missing import Missing
from sim.shift.outcomes import Ascertainment, FollowUp
from sim.shift.stage import StageMigration


@dataclass
class Shift:
    """The `shift` settings. `het` turns up every dial of recording that is not set by itself, and no other."""

    het: float = 0.0  # 0..1.5; 1 = how far hospitals were found to differ; docs/partitions.md has the sources
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
    def on(self) -> bool:
        """Whether anything is shifted."""
        recorded = (self.followup, self.ascertainment, self.stage, self.assay, self.coding, self.missing)
        happens = self.practice.spread or self.concept.tau or self.concept.intercept
        return bool(happens) or self.faults.any or any(kind.on(self.het) for kind in recorded)

    def apply(self, cohort: Cohort, outcome: str, sites: Names, seed: int) -> Cohort:
        """The cohort as the sites record it, in the order in which it comes about; sites str [R], one a row."""
        if not self.on:
            return cohort
        where = Where.of(cohort, sites, seed)
        _, shifted, table = deque(self.steps(cohort, outcome, where), maxlen=1).pop()
        notes = {**shifted.notes, "faults": self.faults.told(where)} if self.faults.any else shifted.notes
        return replace(shifted, table=shifted.derive(table), notes=notes)

    def steps(self, cohort: Cohort, outcome: str, where: Where) -> Iterator[tuple[list[str], Cohort, pd.DataFrame]]:
        """After each kind of shift that is on: its dials, the cohort as it came about, the table as recorded so far."""
        shifted, het = cohort, self.het
        if self.practice.spread:
            shifted = self.practice.apply(shifted, outcome, where)
            yield ["shift.practice.spread"], shifted, shifted.table
        if self.concept.tau or self.concept.intercept:
            shifted = self.concept.apply(shifted, outcome, where)
            yield ["shift.concept.tau", "shift.concept.intercept"], shifted, shifted.table
        table = shifted.table
        for outcomes in (self.followup, self.ascertainment):
            if outcomes.on(het):
                table = outcomes.apply(table, where, het, shifted.outcomes)
                yield outcomes.turned(het), shifted, table
        for columns in (self.stage, self.assay, self.coding, self.missing):
            if columns.on(het):
                table = columns.apply(table, where, het)
                yield columns.turned(het), shifted, table
        if self.faults.any:
            yield self.faults.turned, shifted, self.faults.apply(table, where, self.coding.factors, shifted.outcomes)

    def changers(self, cohort: Cohort, outcome: str, sites: Names, seed: int, rows: Bools) -> list[str]:
        """Dials that changed the label, or event, of some of these rows, bool [R]."""
        kind = cohort.outcome(outcome)
        column = kind.event if isinstance(kind, Survival) else kind.label
        before, found = cohort.table[column].astype(str), list[str]()
        for dials, _, table in self.steps(cohort, outcome, Where.of(cohort, sites, seed)):
            after = table[column].astype(str)
            found += dials if (before != after)[rows].any() else []
            before = after
        return list(dict.fromkeys(found))
