"""What is proved of every federated algorithm, by its name in the table of algorithms."""

import math
from collections.abc import Callable
from dataclasses import replace

from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.feddyn import FedDyn
from sim.methods.algorithms.fedprox import FedProx
from sim.verify import fixed_points as rest
from sim.verify import paths as recursion
from sim.verify.properties import (
    Build,
    Checks,
    alone,
    averages,
    ends,
    one_step,
    optima,
    optimum,
    paths,
    plain,
    rests,
    scalar,
    spatial,
)
from sim.verify.trial import narrow


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


def of_scaffold() -> Checks:
    """SCAFFOLD: the optimum whatever the steps, and with momentum."""
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


CHECKS: dict[str, Callable[[], Checks]] = {
    "fedavg": of_fedavg,
    "fedprox": of_fedprox,
    "scaffold": of_scaffold,
    "fednova": of_fednova,
    "feddyn": of_feddyn,
}
