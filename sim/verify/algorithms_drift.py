"""What is proved of further algorithms that correct drift: FedDC, and FedProx with a mu of its own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from sim.methods.algorithms.adaptiveprox import AdaptiveProx
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.feddc import FedDC
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.contract import Heard, Weighting
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import losses, moves, sizes
from sim.verify.properties import Build, Checks, Closed, ends, follows, optimum, paths, scalar, spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, narrow


def decoupled(alpha: float) -> Build:
    """FedDC with this alpha."""
    return lambda method: narrow(method, FedDC)(alpha=alpha)


def feddc(alpha: float) -> Closed:
    """Gao et al. 2022, Algorithm 1; h_i of all sites in the mean, including those that do not take part."""

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
        for sites, rounds in ((0, 240), (3, 400)):
            trial = replace(spatial(rounds, sites, weighting), steps=(9, 3, 12, 6, 18, 9))
            words = f"pooled optimum, {sites or 'all'} of 6 sites, weighting {weighting.value}"
            yield ends(decoupled(8.0), trial, Trial.optimum, words)
    yield from paths(decoupled(0.4), feddc(0.4))


def adaptive(mu: float, step: float = 0.1, falls: int = 5) -> Build:
    """FedProx with a mu of its own."""
    return lambda method: narrow(method, AdaptiveProx)(mu=mu, step=step, falls=falls)


def next_mu(mu: float, losses: list[float], falls: int) -> float:
    """Li et al. 2020: +0.1 when the loss went up, -0.1 when the last `falls` changes were all down; never below 0."""
    changes = np.diff(losses)
    if len(changes) and changes[-1] > 0:
        return mu + 0.1
    if len(changes) >= falls and (changes[-falls:] < 0).all():
        return max(mu - 0.1, 0.0)
    return mu


def adaptiveprox(mu: float) -> Closed:
    """FedProx's recursion with the mu of `next_mu`, losses over the sites of the round."""

    def closed(trial: Trial) -> Array:
        x, path, seen, pull = trial.start, [trial.start], list[float](), mu
        for tick in trial.ticks():
            seen.append(float(tick.p @ losses(trial, x)[tick.sites]))
            x = x + tick.p @ moves(trial, tick, x, pull=pull)
            pull = next_mu(pull, seen, 5)
            path.append(x)
        return np.stack(path)

    return closed


def tuned(method: type[Algorithm]) -> float:
    """How far mu is from the rule's while the loss takes a course with rises, falls, plateaus and long falls."""
    made, course = adaptive(0.3, falls=3)(method), [9, 8, 7, 6, 5, 6, 5, 5, 4, 3, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1, 3, 4]
    state = {name: torch.zeros((), dtype=torch.float64) for name in method.server_state}
    error, mu, none = 0.0, 0.3, torch.zeros(1, dtype=torch.float64)
    for number, loss in enumerate(course, 1):
        mean = {"delta": none, "loss": torch.tensor(loss, dtype=torch.float64)}
        heard = Heard(none, mean, {}, np.arange(1), none + 1, 1.0)
        state = made.server(heard, state)[1]
        mu = next_mu(mu, course[:number], 3)
        error = max(error, abs(0.3 + float(state["change"]) - mu))
    return error


def of_adaptiveprox() -> Checks:
    """FedProx with an adaptive mu: the rule, its path, and FedProx if mu is constant."""
    yield from paths(adaptive(1.0), adaptiveprox(1.0))
    yield follows(adaptive(0.0), spatial(30, 2), adaptiveprox(0.0), "path, 2 of 6 sites, mu from 0")
    yield Check("mu by the paper's rule on a known course of the loss", tuned, 1e-12)
    trial = spatial(10, 3, momentum=0.6)

    def fedprox(trial: Trial) -> Array:
        return trial.path(Roles(FedProx(0.7)))

    yield follows(adaptive(0.7, 0.0), trial, fedprox, "step 0 is FedProx, bit for bit", 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"feddc": of_feddc, "adaptiveprox": of_adaptiveprox}
