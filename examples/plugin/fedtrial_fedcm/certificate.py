"""What is proved of FedCM: its recursion on quadratics, written from the paper and without the engine's code."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fedtrial_fedcm.algorithm import FedCM
from sim.methods.contract import Weighting
from sim.verify.properties import Build, Checks, averages, follows, spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, narrow


def with_alpha(alpha: float) -> Build:
    """FedCM with this alpha."""
    return lambda method: narrow(method, FedCM)(alpha=alpha)


def recursion(alpha: float) -> Callable[[Trial], Array]:
    """Server models of Xu et al. 2021; [T + 1, D]."""

    def closed(trial: Trial) -> Array:
        x, path, d, decay = trial.start, [trial.start], np.zeros_like(trial.start), trial.training.weight_decay
        for tick in trial.ticks():
            ends = []
            for site in tick.sites:
                y = x
                for _ in range(trial.steps[site]):
                    gradient = trial.problem.gradient(site, y) + decay * y
                    y = y - tick.lr * (alpha * gradient + (1 - alpha) * d)
                ends.append(y)
            steps = np.array(trial.steps)[tick.sites]
            d = tick.p @ ((x - np.stack(ends)) / (tick.lr * steps[:, None]))
            x = tick.p @ np.stack(ends)
            path.append(x)
        return np.stack(path)

    return closed


def of_fedcm() -> Checks:
    """FedCM: its path, whoever takes part and however sites are weighted; FedAvg where alpha is 1."""
    for weighting in Weighting:
        for alpha in (0.1, 0.4):
            trial = spatial(25, 3, weighting)
            trial = replace(trial, training=replace(trial.training, decay=0.98, chunk=2))
            words = f"path, alpha {alpha:g}, 3 of 6 sites, weighting {weighting.value}"
            yield follows(with_alpha(alpha), trial, recursion(alpha), words)
    decayed = spatial(15)
    decayed = replace(decayed, training=replace(decayed.training, weight_decay=0.2))
    yield follows(with_alpha(0.3), decayed, recursion(0.3), "path, alpha 0.3, all sites, weight decay")
    yield averages(with_alpha(1.0), spatial(20, 3), "alpha 1 is FedAvg", 1e-12)
