"""What is proved of FedEM."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sim.engine.fedem import FedEM
from sim.engine.loops import OwnLoop
from sim.engine.simulation import Round
from sim.local.settings import Tier
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.properties import spatial
from sim.verify.quadratic import Array, six_sites
from sim.verify.systems import two_groups
from sim.verify.trial import Trial, gap, narrow


class Mixed(NamedTuple):
    """Component models and shares after a round."""

    theta: Array  # [J, D]
    share: Array  # [S, J]


def seen(here: Round) -> Mixed:
    """Those of the engine."""
    assert here.mixture is not None
    return Mixed(here.model.numpy().astype(np.float64), here.mixture)


def rows_of(trial: Trial) -> list[tuple[Array, Array]]:
    """Training rows of every site; [n, D], [n]."""
    federation = trial.problem.federation
    value = np.asarray(federation.y["value"], dtype=np.float64)
    x = np.asarray(federation.x, dtype=np.float64)
    return [(x[low:high], value[low:high]) for low, high in federation.bounds[:, :2].tolist()]


def likely(x: Array, y: Array, theta: Array, share: Array) -> Array:
    """`pi_j exp(-loss_i(theta_j))` of every row; [n, J]."""
    return np.asarray(share * np.exp(-0.5 * (x @ theta.T - y[:, None]) ** 2))


def by_hand(trial: Trial, start: Array) -> list[Mixed]:
    """Marfoq et al. 2021, Algorithm 1, from the models `start` [J, D]; full batches."""
    theta, share = start.copy(), np.full((len(trial.steps), len(start)), 1 / len(start))
    path, rows = [Mixed(theta, share)], rows_of(trial)
    for tick in trial.ticks():
        share, ends = share.copy(), []
        for site in tick.sites:
            x, y = rows[site]
            q = likely(x, y, theta, share[site])
            q = q / q.sum(1, keepdims=True)
            share[site] = q.mean(0)
            w, speed = theta.copy(), np.zeros_like(theta)
            for _ in range(trial.steps[site]):
                gradient = (q * (x @ w.T - y[:, None])).T @ x / len(x)
                speed = trial.training.momentum * speed + gradient
                w = w - tick.lr * speed
            ends.append(w - theta)
        theta = theta + np.einsum("m,mjd->jd", tick.p, np.stack(ends))
        path.append(Mixed(theta, share))
    return path


def apart(found: list[Mixed], expected: list[Mixed]) -> float:
    """Largest difference of two paths."""
    return max(max(map(gap, one, other)) for one, other in zip(found, expected, strict=True))


def surrogate(trial: Trial, here: Mixed) -> float:
    """Negative log likelihood of all rows, `-sum_k p_k mean_i log sum_j pi_kj exp(-loss_i(theta_j))`."""
    each = [
        np.log(likely(x, y, here.theta, share).sum(1)).mean()
        for (x, y), share in zip(rows_of(trial), here.share, strict=True)
    ]
    return -float(trial.weights @ np.array(each))


def of_fedem() -> Iterator[Check[OwnLoop]]:
    """FedEM."""
    trial = spatial(5, 3, momentum=0.5)
    trial = replace(trial, training=replace(trial.training, chunk=2, decay=0.97))

    def one(entry: type[OwnLoop]) -> float:
        stacked = replace(trial, training=replace(trial.training, tier=Tier.stacked))
        start = tuple(trial.plan(Roles()).standing().x.numpy())
        found = stacked.loop(narrow(entry, FedEM)(components=1))
        return gap(found[:, 0], replace(stacked, first=start).path(Roles()))

    yield Check("one component is FedAvg in the stacked tier, bit for bit", one, 0.0)

    def walks(entry: type[OwnLoop]) -> float:
        found = trial.each(narrow(entry, FedEM)(components=3), seen)
        return apart(found, by_hand(trial, found[0].theta))

    yield Check("path of three models and of all shares, 3 of 6 sites", walks)

    def falls(entry: type[OwnLoop]) -> float:
        """EM with one gradient step at all sites as its M-step never raises it."""
        steady = replace(spatial(60), steps=(1,) * 6)
        found = steady.each(narrow(entry, FedEM)(components=2), seen)
        value = np.array([surrogate(steady, here) for here in found])
        return float(np.diff(value).max(initial=0.0)) if value[-1] < value[0] - 0.1 else np.inf

    yield Check("the mixture's negative log likelihood never rises", falls, 1e-12)

    def parts(entry: type[OwnLoop]) -> float:
        # The likelihood has several maxima; from the starts of this seed EM finds the groups.
        unlike = replace(two_groups(), curvature=six_sites().curvature)  # rows that concern all features
        groups = replace(spatial(60), problem=unlike, steps=(4,) * 6, seed=1)
        last = groups.each(narrow(entry, FedEM)(components=2), seen)[-1]
        sure = last.share.max(1).min()
        mine = last.share.argmax(1)
        told = len(set(mine[::2])) == len(set(mine[1::2])) == 1 and mine[0] != mine[1]
        return float(1 - sure) if told else np.inf

    yield Check("two groups of sites: each has one component to itself", parts, 1e-6)

    def counted(entry: type[OwnLoop]) -> float:
        size = 8 * trial.problem.centre.shape[1]
        once = replace(trial, rounds=1)
        down, up = once.each(narrow(entry, FedEM)(components=3), lambda here: (here.bytes_down, here.bytes_up))[-1]
        return float(abs(down - 3 * 3 * size) + abs(up - 3 * 3 * size))

    yield Check("three models travel both ways", counted, 0.0)
