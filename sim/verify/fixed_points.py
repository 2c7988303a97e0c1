"""Where each method comes to rest on quadratics: fixed points in closed form, [D]."""

from collections.abc import Callable

import numpy as np

from sim.verify.paths import response
from sim.verify.quadratic import Array, blend
from sim.verify.trial import Trial


def pulls(trial: Trial) -> Array:
    """I - (I - lr A_i)^K_i of each site: what part of the way to b_i its local steps go, no momentum; [S, D, D]."""
    sites = zip(trial.problem.curvature, trial.steps, strict=True)
    return np.stack([response(curvature, steps, trial.training.lr, 0.0) @ curvature for curvature, steps in sites])


def fedavg(trial: Trial) -> Array:
    """Fixed point of FedAvg, which is no optimum of anything when the sites' steps differ."""
    return blend(trial.weights[:, None, None] * pulls(trial), trial.problem.centre)


def fednova(trial: Trial) -> Array:
    """Fixed point of FedNova: as FedAvg's, with p_i / K_i for p_i."""
    weights = trial.weights / np.array(trial.steps)
    return blend(weights[:, None, None] * pulls(trial), trial.problem.centre)


def fedprox(mu: float) -> Callable[[Trial], Array]:
    """Fixed point of FedProx when sites solve exactly: blend of b_i by p_i (A_i + mu)^-1 A_i."""

    def point(trial: Trial) -> Array:
        a = trial.problem.curvature
        solved = np.linalg.solve(a + mu * np.eye(a.shape[-1]), a)
        return blend(trial.weights[:, None, None] * solved, trial.problem.centre)

    return point
