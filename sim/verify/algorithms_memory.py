"""What is proved of algorithms in which absent sites count, by their names in the table."""

from collections.abc import Callable, Iterator

import numpy as np

from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.mifa import MIFA
from sim.methods.roles import Roles
from sim.verify import fixed_points
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.properties import paths, plain, spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Algorithm]]


def mifa(trial: Trial) -> Array:
    """Gu et al. 2021, Algorithm 1, with a table of all sites' latest updates."""
    x, path = trial.start, [trial.start]
    latest = np.zeros_like(trial.problem.centre)
    for tick in trial.ticks():
        latest[tick.sites] = moves(trial, tick, x)
        x = x + trial.weights @ latest
        path.append(x)
    return np.stack(path)


def of_mifa() -> Checks:
    """MIFA."""
    yield from paths(plain, mifa)

    def every(entry: type[Algorithm]) -> float:
        trial = spatial(20, momentum=0.3)
        return gap(trial.path(Roles(narrow(entry, MIFA)())), trial.path(Roles()))

    yield Check("where all sites answer it is FedAvg", every)

    def rests(entry: type[Algorithm]) -> float:
        trial = spatial(250, 3)
        return gap(trial.end(Roles(narrow(entry, MIFA)())), fixed_points.fedavg(trial))

    yield Check("with 3 of 6 sites it rests where FedAvg of all sites does", rests)


CHECKS: dict[str, Callable[[], Checks]] = {"mifa": of_mifa}
