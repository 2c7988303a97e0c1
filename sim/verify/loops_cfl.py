"""What is proved of clustered federated learning by splits."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from sim.engine.cfl import CFL
from sim.engine.loops import OwnLoop
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import moves, sizes
from sim.verify.properties import spatial
from sim.verify.quadratic import Array, Quadratic, six_sites
from sim.verify.systems import two_groups
from sim.verify.trial import Trial, gap, narrow


def by_hand(trial: Trial, eps1: float, eps2: float, start: Array) -> Array:
    """Sattler et al. 2020 by trial of all bipartitions, norms in units of gradients; [T + 1, S, D]."""
    of, models = np.zeros(len(trial.steps), np.int64), [start]
    path = [np.stack([models[at] for at in of])]
    for tick in trial.ticks():
        for at in range(len(models)):
            sites = np.flatnonzero(of == at)
            p = trial.weights[sites] / trial.weights[sites].sum()
            part = tick._replace(sites=sites, p=p)
            delta, way = moves(trial, part, models[at]), tick.lr * sizes(trial, part)
            models[at] = models[at] + p @ delta
            rest = np.linalg.norm(p @ delta) / (p @ way) < eps1
            if len(sites) > 1 and rest and (np.linalg.norm(delta, axis=1) / way).max() > eps2:
                of[sites[best_cut(delta)]] = len(models)
                models.append(models[at])
        path.append(np.stack([models[at] for at in of]))
    return np.stack(path)


def best_cut(delta: Array) -> Array:
    """The part without the first site of the bipartition with the least largest cosine across it; bool [M]."""
    unit = delta / np.linalg.norm(delta, axis=1, keepdims=True)
    similar = unit @ unit.T
    cuts = [np.array((False, *bits)) for bits in product((False, True), repeat=len(delta) - 1) if any(bits)]
    return min(cuts, key=lambda cut: float(similar[cut][:, ~cut].max()))


def chain() -> Quadratic:
    """Six sites of one curvature whose optima lie on a circle: chains of neighbours, whose ends are far apart."""
    angle = np.deg2rad([30.0, 60.0, 120.0, 220.0, 310.0, 320.0])
    centre = 2 * np.stack([np.cos(angle), np.sin(angle), *(0 * angle,) * 3], axis=1)
    return replace(six_sites(), curvature=np.tile(np.eye(5), (6, 1, 1)), centre=centre)


def of_cfl() -> Iterator[Check[OwnLoop]]:
    """CFL."""
    whole = replace(spatial(60, momentum=0.3), problem=two_groups())

    def start(trial: Trial) -> Array:
        return np.asarray(trial.plan(Roles()).standing().x.numpy())

    def alike(entry: type[OwnLoop]) -> float:
        same = replace(six_sites(), curvature=np.tile(np.eye(5), (6, 1, 1)), centre=np.ones((6, 5)))
        trial = replace(whole, problem=same)
        found = trial.loop(narrow(entry, CFL)())
        return gap(found[:, 0], replace(trial, first=tuple(start(trial))).path(Roles()))

    yield Check("sites that agree are never split: FedAvg, bit for bit", alike, 0.0)

    def two(entry: type[OwnLoop]) -> float:
        used = whole.used(narrow(entry, CFL)(eps1=0.2, eps2=1.0))
        groups = np.arange(6) % 2
        together = (used[-1][:, None] == used[-1][None]).all(2)
        apart = 0.0 if (together == (groups[:, None] == groups[None])).all() else np.inf
        return apart + gap(used, by_hand(whole, 0.2, 1.0, start(whole)))

    yield Check("two groups with two optima are told apart exactly; path of all sites' models", two)

    for lr in (0.05, 0.01):

        def curve(entry: type[OwnLoop], lr: float = lr) -> float:
            trial = replace(whole, problem=chain(), rounds=80)
            trial = replace(trial, training=replace(trial.training, lr=lr))
            used = trial.used(narrow(entry, CFL)(eps1=0.4, eps2=1.2))
            expected = by_hand(trial, 0.4, 1.2, start(trial))
            parts = len(np.unique(expected[-1].round(9), axis=0))
            return gap(used, expected) if 1 < parts < 6 else np.inf

        yield Check(f"the least cross similarity among all bipartitions, sites on a circle, lr {lr:g}", curve)

    def asks(entry: type[OwnLoop]) -> float:
        """A gamma that the similarity across the cut does not allow."""
        trial = replace(whole, problem=chain(), rounds=80)
        found = trial.used(narrow(entry, CFL)(eps1=0.4, eps2=1.2, gamma=0.99))
        return 0.0 if (found == found[:, :1]).all() else np.inf

    yield Check("parts that are not unlike enough for gamma stay together", asks, 0.0)
