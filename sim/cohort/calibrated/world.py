"""World: what holds at every centre of a calibrated cohort."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from sim.arrays import Floats
from sim.cohort.calibrated.published import Law


class Hard(Enum):
    """What makes a cohort hard beyond `het` and `tau`: the words of `cohort.hard`."""

    time_varying = "time_varying"  # frailty and score tell of early deaths more than of late ones
    site_effects = "site_effects"  # age, frailty, markers and stage weigh differently at every centre, as far as tau
    stage_effects = "stage_effects"  # a triple-negative tumour is worst when it has spread to the region
    stage_migration = "stage_migration"  # twice as many stages are recorded one too high


@dataclass(frozen=True)
class World:
    """Laws and settings that centres share."""

    law: Law
    hard: frozenset[Hard] = frozenset()
    genes: Floats = field(default_factory=lambda: np.zeros((1, 0)))  # [cancers, features] true log hazard ratios
    randomised: bool = False
    mature_years: float = 0.0
    marker_gaps: bool = False
