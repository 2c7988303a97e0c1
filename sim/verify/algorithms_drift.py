"""What is proved of further algorithms that hold local training back by what went before: FedDC."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.methods.algorithms.feddc import FedDC
from sim.methods.contract import Weighting
from sim.verify.paths import moves, sizes
from sim.verify.properties import Build, Checks, Closed, ends, optimum, paths, scalar, spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, narrow


def decoupled(alpha: float) -> Build:
    """FedDC with this alpha."""
    return lambda method: narrow(method, FedDC)(alpha=alpha)


def feddc(alpha: float) -> Closed:
    """Gao et al. 2022, Algorithm 1; h_i of all sites in the mean, whoever takes part."""

    def closed(trial: Trial) -> Array:
        x, path, weights = trial.start, [trial.start], trial.weights
        h, last, mean = np.zeros_like(trial.problem.centre), np.zeros_like(trial.problem.centre), np.zeros_like(x)
        for tick in trial.ticks():
            drift = alpha * h
            drift[tick.sites] += (last[tick.sites] - mean) / (tick.lr * sizes(trial, tick)[:, None])
            delta = moves(trial, tick, x, drift=drift, pull=alpha)
            h[tick.sites] += delta
            last[tick.sites], mean = delta, tick.p @ delta
            x = tick.p @ (x + delta) + weights @ h
            path.append(x)
        return np.stack(path)

    return closed


def of_feddc() -> Checks:
    """FedDC: its recursion, and the optimum, which is where nobody drifts."""
    yield optimum(decoupled(1.0), scalar((10, 20), 0.1, 120), "alpha 1")
    yield optimum(decoupled(4.0), scalar((5, 20), 0.1, 120), "alpha 4")
    for weighting in Weighting:
        for sites, rounds in ((0, 160), (3, 300)):
            trial = replace(spatial(rounds, sites, weighting), steps=(9, 3, 12, 6, 18, 9))
            words = f"pooled optimum, {sites or 'all'} of 6 sites, weighting {weighting.value}"
            yield ends(decoupled(8.0), trial, Trial.optimum, words)
    yield from paths(decoupled(0.4), feddc(0.4))


CHECKS: dict[str, Callable[[], Checks]] = {"feddc": of_feddc}
