"""What is proved of every federated algorithm, by its name in the table of algorithms."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.local.settings import Tier, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.feddyn import FedDyn
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.algorithms.fedsam import FedSAM
from sim.methods.algorithms.qfedavg import QFedAvg
from sim.methods.algorithms.scaffold import Option, Scaffold
from sim.methods.contract import Weighting
from sim.verify import fixed_points as rest
from sim.verify import paths as recursion
from sim.verify.properties import (
    Build,
    Checks,
    alone,
    averages,
    ends,
    follows,
    one_step,
    optima,
    optimum,
    paths,
    plain,
    rests,
    scalar,
    spatial,
)
from sim.verify.quadratic import Array, two_sites
from sim.verify.trial import Trial, narrow


def proximal(mu: float) -> Build:
    """FedProx with this mu."""

    def build(method: type[Algorithm]) -> Algorithm:
        return narrow(method, FedProx)(mu=mu)

    return build


def dynamic(alpha: float) -> Build:
    """FedDyn with this alpha."""

    def build(method: type[Algorithm]) -> Algorithm:
        return narrow(method, FedDyn)(alpha=alpha)

    return build


def sharpness(rho: float) -> Build:
    """FedSAM with this rho."""
    return lambda method: narrow(method, FedSAM)(rho=rho)


def fair(q: float) -> Build:
    """q-FedAvg with this q."""
    return lambda method: narrow(method, QFedAvg)(q=q)


def of_fedavg() -> Checks:
    """FedAvg, biased fixed point and all."""
    yield from rests(rest.fedavg)
    yield from paths(plain, recursion.fedavg)
    yield from one_step(plain)
    yield from alone()


def of_fedprox() -> Checks:
    """FedProx."""
    for mu, rounds in ((0.1, 15), (1.0, 30), (10.0, 130)):
        # At this rate the errors of both local solves shrink by 3 / (5 + 2 mu) a step: enough steps are exact.
        steps = math.ceil(math.log(1e-12) / math.log(3 / (5 + 2 * mu)))
        trial = scalar((steps, steps), 2 / (5 + 2 * mu), rounds)
        yield ends(proximal(mu), trial, rest.fedprox(mu), f"fixed point of exact local solves, mu {mu:g}")
    yield from paths(proximal(0.7), recursion.fedprox(0.7))
    yield from one_step(proximal(0.7))
    yield averages(proximal(0.0), spatial(10, 3, momentum=0.6), "mu 0 is FedAvg, bit for bit", 0.0)


def by_gradients(method: type[Algorithm]) -> Algorithm:
    """SCAFFOLD with option I."""
    return narrow(method, Scaffold)(option=Option.I)


def of_scaffold() -> Checks:
    """SCAFFOLD: the optimum whatever the steps, and with momentum; both options."""
    for momentum in (0.0, 0.5):
        trial = spatial(30, 3, momentum=momentum)
        trial = replace(trial, training=replace(trial.training, decay=0.98, chunk=2, weight_decay=0.2))
        words = f"option I, path, 3 of 6 sites, weight decay, momentum {momentum:g}"
        yield follows(by_gradients, trial, recursion.scaffold_by_gradients, words)
    yield optimum(by_gradients, scalar((5, 20), 0.02, 120), "option I")
    yield from alone(by_gradients, ", option I")
    for steps, momentum in (((10, 10), 0.0), ((5, 20), 0.0), ((10, 10), 0.5), ((5, 10), 0.9)):
        yield optimum(plain, scalar(steps, 0.02, 80, momentum), f"momentum {momentum:g}")
    yield from optima(plain)
    yield from paths(plain, recursion.scaffold)
    yield from one_step(plain)
    yield from alone()


def of_fednova() -> Checks:
    """FedNova: FedAvg when steps are equal, a fixed point nearer the optimum when not."""
    yield from rests(rest.fednova)
    yield from paths(plain, recursion.fednova)
    yield from one_step(plain)
    yield from alone()
    equal = replace(spatial(20, 3, momentum=0.6), steps=(4,) * 6)
    yield averages(plain, equal, "equal steps are FedAvg", 1e-12)


def of_feddyn() -> Checks:
    """FedDyn: the optimum for every alpha, sooner for one about as large as the curvatures."""
    yield optimum(dynamic(0.1), scalar((1, 2), 0.3, 850), "alpha 0.1")
    yield optimum(dynamic(1.0), scalar((10, 20), 0.1, 80), "alpha 1")
    yield from optima(dynamic(4.0))
    yield from paths(dynamic(0.4), recursion.feddyn(0.4))


def of_fedsam() -> Checks:
    """FedSAM: its recursion, and FedAvg where the neighbourhood is a point."""
    for weighting in Weighting:
        trial = spatial(20, 3, weighting)
        yield follows(sharpness(0.3), trial, recursion.fedsam(0.3), f"path, rho 0.3, weighting {weighting.value}")
    decayed = spatial(15)
    decayed = replace(decayed, training=replace(decayed.training, weight_decay=0.2))
    yield follows(sharpness(0.1), decayed, recursion.fedsam(0.1), "path, rho 0.1, all sites, weight decay")
    stacked = spatial(10, 3, momentum=0.6)
    stacked = replace(stacked, training=replace(stacked.training, tier=Tier.stacked))
    yield averages(sharpness(0.0), stacked, "rho 0 is FedAvg, bit for bit", 0.0)


def of_qfedavg() -> Checks:
    """q-FedAvg: the stationary points of sum p f^(q+1) with one local step, by hand; FedAvg at q = 0."""
    for weighting in Weighting:
        for q in (0.5, 2.0):
            trial = spatial(20, 3, weighting)
            yield follows(fair(q), trial, recursion.qfedavg(q), f"path, q {q:g}, weighting {weighting.value}")
    for weighting in Weighting:
        words = f"q 0 is FedAvg, weighting {weighting.value}"
        yield averages(fair(0.0), spatial(20, 3, weighting, momentum=0.6), words, 1e-12)
    for q, point in ((1.0, 1.147689), (5.0, 1.041559)):
        trial = Trial(two_sites(), (1, 1), 600, Training(lr=0.05, batch=0), Weighting.sites)

        def minimum(trial: Trial, point: float = point) -> Array:
            return np.array([point])

        yield ends(fair(q), trial, minimum, f"minimum of the q-FFL objective, q {q:g}", 2e-6)


CHECKS: dict[str, Callable[[], Checks]] = {
    "fedavg": of_fedavg,
    "fedprox": of_fedprox,
    "scaffold": of_scaffold,
    "fednova": of_fednova,
    "feddyn": of_feddyn,
    "fedsam": of_fedsam,
    "qfedavg": of_qfedavg,
}
