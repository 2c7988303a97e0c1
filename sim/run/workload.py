"""Estimated time of a run, for the order of a sweep and the choice of its workers; its order of magnitude is enough.

Measured on one core: linear models took 15 to 19 ms for 300 patients and 2 rounds, 49 ms for 12,000 and 30; an MLP of
2,242 parameters on 200,000 rows of 1,000 sites 31 to 117 ms an epoch by tier, logistic regression 5 ms.
"""

import numpy as np

from sim.config.experiment import Experiment
from sim.run.run import Prepared

RUN, ROUND, STEP = 0.015, 0.001, 5e-7  # seconds, beside what rows take
FLOPS = 2e10  # a second, of training on one core; a row takes 6 for every parameter
RAY_START = 8.0  # seconds until Ray's processes train


def seconds(experiment: Experiment, prepared: Prepared) -> float:
    """Estimate for one core."""
    members = prepared.federation.rows[prepared.federation.members]
    local = experiment.local
    steps = float(local.site_steps(members).sum())
    rows = np.minimum(members, local.batch or members) * local.steps if local.steps else members * local.epochs
    training = STEP * steps + float(rows.sum()) * max(prepared.task.layout.size, 1) * 6 / FLOPS
    return RUN + experiment.rounds * (ROUND + training)


def worth_ray(left: float, workers: int) -> bool:
    """Whether so many seconds of work in one process are worth starting Ray with so many workers."""
    return workers > 1 and left * (1 - 1 / workers) > RAY_START
