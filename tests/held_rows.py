"""The rows that a run holds out, as they were recorded."""

import pandas as pd

from sim.cohort.outcomes import SPLITS
from sim.config.compose import experiment
from sim.federation.split import grouped
from sim.run.prepare import gather


def held_rows(words: list[str]) -> pd.DataFrame:
    """Rows of the cohort that are held out, as recorded, in the order of the federation; `at` is their site there."""
    there = gather(experiment(words))
    cell = there.sides.site * len(SPLITS) + there.sides.part
    order = grouped(cell, there.sides.patients.order)
    order = order[there.sides.part[order] > 0]
    return there.dealt.cohort.table.iloc[order].assign(at=there.sides.names[there.sides.site[order]])
