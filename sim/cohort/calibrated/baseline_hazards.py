"""Baseline hazards that reproduce published survival by stage."""

from functools import cache

import numpy as np
import scipy

from sim.arrays import Floats
from sim.cohort.calibrated.centres import centres
from sim.cohort.calibrated.course import phases
from sim.cohort.calibrated.draws import Ask, quasi_random
from sim.cohort.calibrated.genes import effects, total_sd
from sim.cohort.calibrated.patients import MARKER_1, draw_patients
from sim.cohort.calibrated.published import MAX_SURVIVAL, law, population
from sim.cohort.calibrated.world import Hard, World

SAMPLE = 16_384  # patients of the sample that represents the population
AFFECTS_BASELINE = frozenset(
    {Hard.time_varying, Hard.stage_effects}
)  # the other modes do not change a centre without effects


def baselines(names: tuple[str, ...], hard: frozenset[Hard] = frozenset(), features: int = 0) -> Floats:
    """Cumulative hazard of death from cancer at five years when the log hazard is zero, [cancers, 3]."""
    return np.stack([baseline(name, hard & AFFECTS_BASELINE, features) for name in names])


@cache
def baseline(name: str, hard: frozenset[Hard] = frozenset(), features: int = 0) -> Floats:
    """Baseline hazard H by stage, [3]: the mean over patients of `exp(-H exp(log hazard))` is the published survival.

    Solved by Brent's method on one quasi-random sample of patients who are treated by average practice at a centre
    without effects. Responders and others are weighted by the probability of response, so that drawing the response
    adds no sampling error. All stages share the sample, as stage depends on insurance and race only and the hazard
    hardly depends on those; where a marker depends on the stage, each stage uses its own patients. Genes enter through
    their sum, which is normal.
    """
    table, plain = law((name,)), centres(0, 1, het=0, tau=0, cancers=(name,))
    u, world = quasi_random(SAMPLE), World(table, hard - {Hard.stage_effects})
    sum_of_genes = total_sd(effects(features, (name,)))[0] * scipy.special.ndtri(u(Ask.GENES))
    sample = draw_patients(u, np.zeros(SAMPLE, dtype=np.int64), world, plain, lambda cancer: sum_of_genes)
    responders = np.log(population()["responder_hazard"].number)

    def hazard(more: float, stage: int) -> Floats:
        """Hazard for H = 1, [n]; `more` is the log hazard ratio of response: that of responders, or 0."""
        log_hazard = sample.log_hazard + more
        if Hard.stage_effects in hard:
            log_hazard = (
                log_hazard + (table.marker_by_stage[0, stage] - table.log_hazard[0, MARKER_1]) * sample.marker_1
            )
        if sample.fading is None:
            return np.exp(log_hazard)
        early, late, passed = phases(log_hazard, sample.fading, table.shape)
        return early * passed + late * (1 - passed)

    def solve(published: float, stage: int) -> float:
        """H of a stage with this published 5-year survival."""
        here = sample.stage == stage if table.marker_distant.any() else slice(None)
        chance, other = sample.response[here], 1 - sample.response[here]
        kind = ((chance, hazard(responders, stage)[here]), (other, hazard(0.0, stage)[here]))

        def excess(log_h: float) -> float:
            survival = sum(chance * np.exp(-np.exp(log_h) * rate) for chance, rate in kind)
            return float(np.mean(survival) - min(published, MAX_SURVIVAL))

        return float(np.exp(scipy.optimize.brentq(excess, np.log(1e-7), np.log(1e3), xtol=1e-10)))

    return np.array([solve(published, stage) for stage, published in enumerate(table.survival_5y[0])])
