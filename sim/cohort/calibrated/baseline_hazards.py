"""Calibration: the baseline hazards that reproduce published survival by stage."""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from sim.arrays import Floats
from sim.cohort.calibrated.centres import centres
from sim.cohort.calibrated.course import phases
from sim.cohort.calibrated.draws import Ask, even
from sim.cohort.calibrated.genes import effects, spread
from sim.cohort.calibrated.patients import MARKER_1, people
from sim.cohort.calibrated.published import CERTAIN, law, population
from sim.cohort.calibrated.world import Hard, World

SAMPLE = 16_384  # patients who stand for the population
MATTERS = frozenset({Hard.time_varying, Hard.stage_effects})  # the rest leaves centres without effects as they are


def baselines(names: tuple[str, ...], hard: frozenset[Hard] = frozenset(), features: int = 0) -> Floats:
    """Cumulative hazard of death from cancer at five years when the log hazard is zero, [cancers, 3]."""
    return np.stack([baseline(name, hard & MATTERS, features) for name in names])


@cache
def baseline(name: str, hard: frozenset[Hard] = frozenset(), features: int = 0) -> Floats:
    """H by stage, [3]: the mean over patients of exp(-H exp(log hazard)) is the published 5-year survival of the stage.

    Solved on one evenly spread sample of patients treated by common practice at a centre without effects. The chance of
    response is a weight, so that who responds adds no sampling error. The whole sample serves for every stage, as stage
    depends on insurance and race only, and the hazard hardly depends on those; unless a marker depends on the stage,
    where each stage has its own patients. Genes enter by their sum, which is normal.
    """
    table, plain = law((name,)), centres(0, 1, het=0, tau=0, cancers=(name,))
    u, world = even(SAMPLE), World(table, hard - {Hard.stage_effects})
    sum_of_genes = spread(effects(features, (name,)))[0] * ndtri(u(Ask.GENES))
    sample = people(u, np.zeros(SAMPLE, dtype=np.int64), world, plain, lambda cancer: sum_of_genes)
    responders = np.log(population()["responder_hazard"].number)

    def hazard(more: float, stage: int) -> Floats:
        """Of those who respond or not, where log H is zero; [n]."""
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
        here = sample.stage == stage if table.marker_distant.any() else slice(None)
        chance, other = sample.response[here], 1 - sample.response[here]
        kind = ((chance, hazard(responders, stage)[here]), (other, hazard(0.0, stage)[here]))

        def excess(log_h: float) -> float:
            survival = sum(chance * np.exp(-np.exp(log_h) * rate) for chance, rate in kind)
            return float(np.mean(survival) - min(published, CERTAIN))

        return float(np.exp(brentq(excess, np.log(1e-7), np.log(1e3), xtol=1e-10)))

    return np.array([solve(published, stage) for stage, published in enumerate(table.survival_5y[0])])
