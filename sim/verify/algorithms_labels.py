"""What is proved of algorithms whose local loss reads labels or representations: FedLC and MOON."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.local.settings import Tier
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fedlc import FedLC
from sim.methods.algorithms.moon import Moon
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


def contrasted(mu: float, temperature: float = 0.5) -> Build:
    """MOON with these settings."""
    return lambda method: narrow(method, Moon)(mu=mu, temperature=temperature)


def similarity(one: Complex, other: Complex) -> Complex:
    """Cosine between rows; [n, H], [n, H] -> [n]."""
    return np.asarray((one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1)))


def contrastive_loss(
    trial: Labelled, site: int, mu: float, temperature: float, x: Array, previous: Array
) -> Callable[[Complex], complex]:
    """Cross-entropy and equation 3 of the paper, at a site that downloaded x; its last model [P], or NaN if none."""
    rows, label = trial.rows[site]
    shared = trial.layers(x.astype(np.complex128), rows)[0]
    own = trial.layers(previous.astype(np.complex128), rows)[0]

    def loss(v: Complex) -> complex:
        z, logits = trial.layers(v, rows)
        total = entropy(logits, label).mean()
        if not np.isnan(previous).any():
            near, far = (np.exp(similarity(z, other) / temperature) for other in (shared, own))
            total = total - mu * np.log(near / (near + far)).mean()
        return complex(total)

    return loss


def moon(mu: float, temperature: float = 0.5) -> Closed:
    """Li, He, Song 2021, Algorithm 1, without the contrastive term in a site's first round."""

    def closed(trial: Labelled) -> Array:
        path, previous = [trial.start], [np.full_like(trial.start, np.nan) for _ in trial.rows]
        for sites in trial.samples():
            x = path[-1]
            for site in sites:
                loss, y = contrastive_loss(trial, site, mu, temperature, x, previous[site]), x
                for _ in range(trial.training.steps):
                    y = y - trial.training.lr * gradient(loss, y)
                previous[site] = y
            p = trial.weights[sites] / trial.weights[sites].sum()
            path.append(p @ np.stack([previous[site] for site in sites]))
        return np.stack(path)

    return closed


def of_moon() -> Checks:
    """MOON: its recursion on networks with a hidden layer; FedAvg without the contrastive loss, and in one round."""
    for classes, weighting in ((2, Weighting.patients), (2, Weighting.sites), (3, Weighting.sites)):
        trial = Labelled(classes, hidden=3, sites=3, weighting=weighting)
        words = f"path, 3 of 4 sites, {classes} classes, weighting {weighting.value}"
        yield follows(contrasted(2.0), trial, moon(2.0), words)
    yield follows(contrasted(1.0, 0.2), Labelled(2, hidden=3), moon(1.0, 0.2), "path, all sites, T 0.2")
    yield follows(contrasted(0.0), Labelled(2, hidden=3), fedavg, "mu 0 is FedAvg, bit for bit", 0)
    first = Labelled(2, hidden=3, sites=3, rounds=1)
    yield follows(contrasted(2.0), first, fedavg, "the first round is FedAvg's, for there is no model before it", 1e-12)


CHECKS: dict[str, Callable[[], Checks]] = {"fedlc": of_fedlc, "moon": of_moon}
