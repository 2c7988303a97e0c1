"""What is proved of algorithms that choose the steps of a round themselves: FedSGD and Scaffnew."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sim.local.settings import Tier, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.scaffnew import Scaffnew
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.verify import paths as recursion
from sim.verify.check import Check
from sim.verify.properties import Build, Checks, Closed, ends, follows, optimum, plain, scalar, spatial
from sim.verify.quadratic import Array, six_sites
from sim.verify.trial import Trial, gap, narrow


@dataclass
class AsSet(Sync):
    """Synchronous rounds of as many local steps as the settings say, or the algorithm; not those of the trial."""


def descends(sites: int, weighting: Weighting) -> Trial:
    """A trial whose settings ask for several epochs of mini-batches, and whose closed form takes one full step."""
    training = Training(lr=0.1, epochs=3, batch=2, momentum=0.6, weight_decay=0.1, chunk=2, decay=0.98)
    return Trial(six_sites(), (1,) * 6, 30, training, weighting, AsSet(sites))


def of_fedsgd() -> Checks:
    """FedSGD: gradient descent on the pooled objective, whatever the settings say of epochs and batches."""
    for weighting in Weighting:
        trial = descends(0, weighting)
        plain_descent = replace(trial, training=replace(trial.training, weight_decay=0.0, steps=5))
        words = f"pooled gradient descent, weighting {weighting.value}"
        yield follows(plain, plain_descent, recursion.descent, words)
        trial = descends(3, weighting)
        words = f"path, 3 of 6 sites, weight decay, weighting {weighting.value}"
        yield follows(plain, trial, recursion.fedavg, words)
        stacked = replace(trial, training=replace(trial.training, tier=Tier.stacked))
        yield follows(plain, stacked, recursion.fedavg, f"{words}, stacked tier")


def coin(p: float) -> Build:
    """Scaffnew with this p."""
    return lambda method: narrow(method, Scaffnew)(p=p)


def lengths(p: float, rounds: int, seed: int) -> list[int]:
    """Steps of rounds 1 to `rounds`."""
    return [int(Scaffnew(p).steps(np.ones(1, np.int64), seed, number)[0]) for number in range(1, rounds + 1)]


def scaffnew(p: float) -> Closed:
    """Mishchenko et al. 2022, Algorithm 2, with means weighted by p_i; by the steps, all sites."""

    def closed(trial: Trial) -> Array:
        path, weights, decay = [trial.start], trial.weights, trial.training.weight_decay
        h = np.zeros_like(trial.problem.centre)
        for tick, steps in zip(trial.ticks(), lengths(p, trial.rounds, trial.seed), strict=True):
            y = np.tile(path[-1], (len(weights), 1))
            for _ in range(steps):
                g = np.stack([trial.problem.gradient(site, w) + decay * w for site, w in enumerate(y)])
                y = y - tick.lr * (g - h)
            path.append(weights @ y)
            h = h + p / tick.lr * (path[-1] - y)
        return np.stack(path)

    return closed


def sum_of_variates(method: type[Algorithm]) -> float:
    """The largest entry of sum p_i h_i over the rounds of a training."""
    trial = spatial(25, weighting=Weighting.patients)
    worst = 0.0
    for x, kept in trial.states(Roles(coin(0.3)(method))):
        h = kept["variate"] + kept["scale"] * (x - kept["local"])
        worst = max(worst, float(np.abs(trial.weights @ h).max()))
    return worst


def coin_falls(method: type[Algorithm]) -> float:
    """How far the steps of 4,000 rounds are from geometric ones, as a share of the mean; inf where sites differ."""
    made, p = coin(0.25)(method), 0.25
    drawn = np.stack([made.steps(np.arange(1, 7), 5, number) for number in range(1, 4001)])
    if (drawn != drawn[:, :1]).any():
        return math.inf
    law = [p * (1 - p) ** (k - 1) for k in range(1, 9)]
    found = [(drawn[:, 0] == k).mean() for k in range(1, 9)]
    return max(abs(float(drawn[:, 0].mean()) * p - 1), gap(np.array(found), np.array(law)))


def of_scaffnew() -> Checks:
    """Scaffnew: its recursion, the optimum, variates that sum to zero, and one coin for all sites."""
    for weighting in Weighting:
        trial = spatial(25, weighting=weighting)
        trial = replace(trial, training=replace(trial.training, decay=0.98, chunk=2, weight_decay=0.1))
        yield follows(coin(0.3), trial, scaffnew(0.3), f"path, p 0.3, weighting {weighting.value}")
        trial = replace(trial, training=replace(trial.training, tier=Tier.stacked))
        yield follows(coin(0.3), trial, scaffnew(0.3), f"path, p 0.3, weighting {weighting.value}, stacked tier")
        words = f"pooled optimum, p 0.4, weighting {weighting.value}"
        yield ends(coin(0.4), spatial(250, weighting=weighting), Trial.optimum, words)
        words = f"p 1 is pooled gradient descent, weighting {weighting.value}"
        yield follows(coin(1.0), spatial(25, weighting=weighting), recursion.descent, words)
    yield optimum(coin(0.2), scalar((1, 1), 0.1, 150), "p 0.2")
    yield Check("the sites' variates sum to zero in every round", sum_of_variates, 1e-12)
    yield Check("rounds are of geometric length, the same for all sites", coin_falls, 0.03)


CHECKS: dict[str, Callable[[], Checks]] = {"fedsgd": of_fedsgd, "scaffnew": of_scaffnew}
