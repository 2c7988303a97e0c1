"""Calibration: the baseline hazards that reproduce published survival by stage."""

from functools import cache

import numpy as np
from scipy.optimize import brentq

from sim.cohort.centres import centres
from sim.cohort.draws import even
from sim.cohort.patients import people
from sim.cohort.published import CERTAIN, Floats, law, population

SAMPLE = 16_384  # patients who stand for the population


def baselines(names: tuple[str, ...]) -> Floats:
    """Cumulative hazard of death from cancer at five years when the log hazard is zero, [cancers, 3]."""
    return np.stack([baseline(name) for name in names])


@cache
def baseline(name: str) -> Floats:
    """H by stage, [3]: the mean over patients of exp(-H exp(log hazard)) is the published 5-year survival of the stage.

    Solved on one evenly spread sample of patients treated by common practice at a centre without effects. The chance of
    response is a weight, so that who responds adds no sampling error. The whole sample serves for every stage: stage
    depends on insurance and race only, and the hazard hardly depends on those.
    """
    table, plain = law((name,)), centres(0, 1, het=0, tau=0, cancers=(name,))
    sample = people(even(SAMPLE), np.zeros(SAMPLE, dtype=np.int64), table, plain, randomised=False)
    hazard, responds = np.exp(sample.log_hazard), sample.response
    reduced = hazard * population()["responder_hazard"].number

    def solve(published: float) -> float:
        def excess(log_h: float) -> float:
            h = np.exp(log_h)
            survival = responds * np.exp(-h * reduced) + (1 - responds) * np.exp(-h * hazard)
            return float(survival.mean() - min(published, CERTAIN))

        return float(np.exp(brentq(excess, np.log(1e-7), np.log(1e3), xtol=1e-10)))

    solved = {published: solve(published) for published in np.unique(table.survival_5y[0])}
    return np.array([solved[published] for published in table.survival_5y[0]])
