"""Faults: errors that affect all data of a site and are noticed, if ever, after training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from sim.arrays import Bools
from sim.checks import Refused, within
from sim.cohort.outcomes import Binary, Outcome, Survival
from sim.lazy import pd
from sim.random import key, scatter
from sim.shift.base import NewColumns, SiteDraws, event_outcomes, numbers


@dataclass
class Faults:
    """Number of sites with each fault; a larger number keeps the sites of a smaller one. `het` does not set faults."""

    unit_swap: int = 0  # >= 0 sites that enter the columns of shift.coding.factors in the other unit, every row
    label_flip: int = 0  # >= 0 sites that record every label, or event, as its opposite
    stale: int = 0  # >= 0 sites whose extract is from before half of the outcomes were known

    def __post_init__(self) -> None:
        for fault in fields(self):
            within(f"shift.faults.{fault.name}", getattr(self, fault.name), 0)

    @property
    def active(self) -> bool:
        """Whether any site has a fault."""
        return any(getattr(self, fault.name) for fault in fields(self))

    @property
    def outcome_settings(self) -> list[str]:
        """Settings of the active faults that change an outcome."""
        return [f"shift.faults.{name}" for name in ("label_flip", "stale") if getattr(self, name)]

    def sites_with(self, fault: str, draws: SiteDraws) -> Bools:
        """Whether a site has the fault, [S]; refuses more sites than there are."""
        count = getattr(self, fault)
        if count > len(draws.names):
            raise Refused(
                f"shift.faults.{fault}={count}: allowed 0 to {len(draws.names)}, the number of sites. Lower it."
            )
        rank = np.argsort(scatter(key(draws.seed, "shift", "faults", fault), draws.site_word), kind="stable")
        return np.isin(np.arange(len(draws.names)), rank[:count])

    def in_words(self, draws: SiteDraws) -> str:
        """The faults and their sites, such as `unit_swap: site-03; stale: site-01, site-07`."""
        parts = [(fault.name, draws.names[self.sites_with(fault.name, draws)].tolist()) for fault in fields(self)]
        return "; ".join(f"{name}: {', '.join(sites)}" for name, sites in parts if sites)

    def apply(
        self, table: pd.DataFrame, draws: SiteDraws, factors: Mapping[str, float], outcomes: Mapping[str, Outcome]
    ) -> pd.DataFrame:
        """The table as recorded with the faults; `factors` maps columns to their other unit per unit."""
        changed: NewColumns = {}
        if self.unit_swap:
            if not factors:
                raise Refused("shift.faults.unit_swap: shift.coding.factors is empty. Name a column and its factor.")
            swapped = self.sites_with("unit_swap", draws)[draws.site]
            for name, factor in factors.items():
                value = numbers(table, name, "shift.coding.factors")
                changed[name] = np.where(swapped, factor * value, value)
        flipped, stale = (self.sites_with(fault, draws)[draws.site] for fault in ("label_flip", "stale"))
        early = stale & (draws.row_uniforms("faults", "stale") < 0.5)
        for outcome in event_outcomes(table, outcomes).values() if self.label_flip or self.stale else ():
            column = outcome.label if isinstance(outcome, Binary) else outcome.event
            changed[column] = (table[column].to_numpy(dtype=bool) & ~early) ^ flipped
            if isinstance(outcome, Survival):
                time = table[outcome.time_days].to_numpy(dtype=np.float64)
                changed[outcome.time_days] = np.where(early, time / 2, time)
        return table.assign(**changed)
