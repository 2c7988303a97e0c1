"""What is proved of attacks by sites that know the honest uploads."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import torch

from sim.methods.attacks import ALIE, IPM, Attack, MinMax
from sim.methods.attacks.collusion import Direction
from sim.verify.aggregators import uploads
from sim.verify.attacks import Bad, Checks, Rule, every, nobody, sent_by
from sim.verify.check import Check
from sim.verify.quadratic import Array
from sim.verify.trial import narrow


def honest(u: Array, bad: Bad) -> Array:
    """Uploads of the honest sites."""
    return u[~bad]


def of_ipm() -> Checks:
    """Inner product manipulation."""

    def rule(u: Array, bad: Bad) -> Array:
        return np.broadcast_to(-0.7 * honest(u, bad).mean(0), u.shape)

    yield from every(lambda entry, sites: narrow(entry, IPM)(sites=sites, epsilon=0.7), rule)


def of_alie() -> Checks:
    """A Little Is Enough."""

    def rule(z: float) -> Rule:
        return lambda u, bad: np.broadcast_to(honest(u, bad).mean(0) - z * honest(u, bad).std(0), u.shape)

    yield from every(lambda entry, sites: narrow(entry, ALIE)(sites=sites, z=1.5), rule(1.5))

    def by_size(u: Array, bad: Bad) -> Array:
        n, m = len(u), int(bad.sum())
        s = n // 2 + 1 - m
        return rule(NormalDist().inv_cdf((n - m - s) / (n - m)))(u, bad)

    yield sent_by(lambda entry: narrow(entry, ALIE)(sites=2), by_size, "z is the paper's z_max of the update")


def farthest(one: Array, others: Array) -> float:
    """Largest distance from one vector to some others."""
    return float(np.linalg.norm(others - one, axis=1).max())


def bisected(direction: Direction, u: Array, bad: Bad) -> Array:
    """Shejwalkar and Houmansadr 2021: gamma by halving an interval, distances by enumeration."""
    good = honest(u, bad)
    mean, most = good.mean(0), max(farthest(one, good) for one in good)
    push = {
        Direction.std: -good.std(0),
        Direction.unit: -mean / np.linalg.norm(mean),
        Direction.sign: -np.sign(mean),
    }[direction]
    low, high = 0.0, 1e3
    for _ in range(100):
        gamma = (low + high) / 2
        low, high = (gamma, high) if farthest(mean + gamma * push, good) <= most else (low, gamma)
    return np.broadcast_to(mean + low * push, u.shape)


def of_minmax() -> Checks:
    """Min-max."""
    for direction in Direction:

        def make(entry: type[Attack], direction: Direction = direction) -> Attack:
            return narrow(entry, MinMax)(sites=2, direction=direction)

        def rule(u: Array, bad: Bad, direction: Direction = direction) -> Array:
            return bisected(direction, u, bad)

        yield sent_by(make, rule, f"gamma by bisection, direction {direction.value}")
    yield nobody(lambda entry: narrow(entry, MinMax)(sites=0))

    def reach(entry: type[Attack]) -> float:
        u, bad = uploads(9), np.arange(9) < 3
        sent = narrow(entry, MinMax)().tamper({"delta": torch.from_numpy(u)}, torch.from_numpy(bad))["delta"].numpy()
        return abs(farthest(sent[0], u[3:]) - max(farthest(one, u[3:]) for one in u[3:]))

    yield Check("the farthest honest upload is as far as the farthest two honest are apart", reach)


CHECKS: dict[str, Callable[[], Checks]] = {"alie": of_alie, "ipm": of_ipm, "minmax": of_minmax}
