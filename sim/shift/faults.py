"""Faults: what goes wrong at a whole site and is found, if at all, after training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from sim.arrays import Bools
from sim.checks import Refused, within
from sim.cohort.outcomes import Binary, Outcome, Survival
from sim.random import key, scatter
from sim.shift.base import Changed, Where, happenings, numbers


@dataclass
class Faults:
    """How many sites have each fault; more sites keep those of fewer. `het` leaves them: a fault is no spectrum."""

    unit_swap: int = 0  # >= 0 sites that enter the columns of shift.coding.factors in the other unit, every row
    label_flip: int = 0  # >= 0 sites that record every label, or event, as its opposite
    stale: int = 0  # >= 0 sites whose extract is from before half of the outcomes were known

    def __post_init__(self) -> None:
        for fault in fields(self):
            within(f"shift.faults.{fault.name}", getattr(self, fault.name), 0)

    @property
    def any(self) -> bool:
        """Whether a site has one."""
        return any(getattr(self, fault.name) for fault in fields(self))

    @property
    def turned(self) -> list[str]:
        """Settings of those that change an outcome."""
        return [f"shift.faults.{name}" for name in ("label_flip", "stale") if getattr(self, name)]

    def at(self, fault: str, where: Where) -> Bools:
        """Sites with the fault, bool [S]."""
        count = getattr(self, fault)
        if count > len(where.names):
            raise Refused(f"shift.faults.{fault}={count}: allowed 0 to {len(where.names)}, the sites there are.")
        rank = np.argsort(scatter(key(where.seed, "shift", "faults", fault), where.site_word), kind="stable")
        return np.isin(np.arange(len(where.names)), rank[:count])

    def told(self, where: Where) -> str:
        """`unit_swap: site-03; stale: site-01, site-07`, or nothing."""
        parts = [(fault.name, where.names[self.at(fault.name, where)].tolist()) for fault in fields(self)]
        return "; ".join(f"{name}: {', '.join(sites)}" for name, sites in parts if sites)

    def apply(
        self, table: pd.DataFrame, where: Where, factors: Mapping[str, float], outcomes: Mapping[str, Outcome]
    ) -> pd.DataFrame:
        """The table with its faults."""
        changed: Changed = {}
        if self.unit_swap:
            if not factors:
                raise Refused("shift.faults.unit_swap: shift.coding.factors is empty. Name a column and its factor.")
            swapped = self.at("unit_swap", where)[where.site]
            for name, factor in factors.items():
                value = numbers(table, name, "shift.coding.factors")
                changed[name] = np.where(swapped, factor * value, value)
        flipped, stale = (self.at(fault, where)[where.site] for fault in ("label_flip", "stale"))
        early = stale & (where.rows("faults", "stale") < 0.5)
        for outcome in happenings(table, outcomes).values() if self.label_flip or self.stale else ():
            column = outcome.label if isinstance(outcome, Binary) else outcome.event
            changed[column] = (table[column].to_numpy(dtype=bool) & ~early) ^ flipped
            if isinstance(outcome, Survival):
                time = table[outcome.time_days].to_numpy(dtype=np.float64)
                changed[outcome.time_days] = np.where(early, time / 2, time)
        return table.assign(**changed)
