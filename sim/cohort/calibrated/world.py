"""Parameters and settings that all centres of a calibrated cohort share."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from sim.arrays import Floats
from sim.cohort.calibrated.published import Law


class Hard(Enum):
    """Difficulties beyond `het` and `tau`: the words of `cohort.hard`."""

    time_varying = "time_varying"  # frailty and score act on early deaths more than on late ones
    site_effects = "site_effects"  # effects of age, frailty, markers and stage differ by centre, with sd tau
    stage_effects = "stage_effects"  # the effect of a triple-negative tumour is largest in regional stage
    stage_migration = "stage_migration"  # twice as many stages are recorded one too high


@dataclass(frozen=True)
class World:
    """Parameters and settings that centres share."""

    law: Law
    hard: frozenset[Hard] = frozenset()
    genes: Floats = field(default_factory=lambda: np.zeros((1, 0)))  # [cancers, features] true log hazard ratios
    randomised: bool = False
    mature_years: float = 0.0
    marker_gaps: bool = False
