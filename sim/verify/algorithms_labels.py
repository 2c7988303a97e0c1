"""What is proved of algorithms whose local loss reads labels or representations: FedLC."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.local.settings import Tier
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fedlc import FedLC
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.labelled import Complex, Labelled, entropy, gradient
from sim.verify.properties import Build, Checks
from sim.verify.quadratic import Array
from sim.verify.trial import gap, narrow

Closed = Callable[[Labelled], Array]


def follows(build: Build, trial: Labelled, closed: Closed, words: str, tolerance: float = 1e-10) -> Check[Algorithm]:
    """The whole path is the closed form's."""
    return Check(words, lambda method: gap(trial.path(Roles(build(method))), closed(trial)), tolerance)


def fedavg(trial: Labelled) -> Array:
    """The engine's own FedAvg, by the tier that takes any loss."""
    return replace(trial, training=replace(trial.training, tier=Tier.stacked)).path(Roles())


def calibrated(tau: float) -> Build:
    """FedLC with this tau."""
    return lambda method: narrow(method, FedLC)(tau=tau)


def calibrated_loss(trial: Labelled, site: int, tau: float) -> Callable[[Complex], complex]:
    """Cross-entropy of f_c - tau n_c^(-1/4) over the classes that a site has."""
    x, label = trial.rows[site]
    count = np.bincount(label, minlength=trial.classes)
    present = np.flatnonzero(count)
    margin, place = tau * count[present] ** -0.25, np.searchsorted(present, label).astype(np.int64)
    return lambda v: complex(entropy(trial.layers(v, x)[1][:, present] - margin, place).mean())


def fedlc(tau: float) -> Closed:
    """Zhang et al. 2022: sites descend the calibrated cross-entropy, then FedAvg."""

    def closed(trial: Labelled) -> Array:
        path = [trial.start]
        for sites in trial.samples():
            ends = []
            for site in sites:
                y = path[-1]
                for _ in range(trial.training.steps):
                    y = y - trial.training.lr * gradient(calibrated_loss(trial, site, tau), y)
                ends.append(y)
            p = trial.weights[sites] / trial.weights[sites].sum()
            path.append(p @ np.stack(ends))
        return np.stack(path)

    return closed


def of_fedlc() -> Checks:
    """FedLC: its recursion on two and three classes, with an absent class; FedAvg where nothing is to calibrate."""
    for weighting in Weighting:
        for classes, hidden in ((2, 0), (3, 0), (3, 2)):
            trial = Labelled(classes, hidden, sites=3, weighting=weighting)
            words = f"path, {classes} classes, {hidden} hidden units, weighting {weighting.value}"
            yield follows(calibrated(1.3), trial, fedlc(1.3), words)
    for classes in (2, 3):
        yield follows(calibrated(0.0), Labelled(classes), fedavg, f"tau 0 is FedAvg, bit for bit, {classes} classes", 0)
        trial = Labelled(classes, balanced=True)
        yield follows(calibrated(2.0), trial, fedavg, f"balanced classes are FedAvg, {classes} classes")


CHECKS: dict[str, Callable[[], Checks]] = {"fedlc": of_fedlc}
