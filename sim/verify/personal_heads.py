"""What is proved of networks with a private part: a linear map whose last two features are the head's."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sim.methods.personal.base import Personal
from sim.methods.personal.heads import FedBABU, FedRep, LGFedAvg, Part
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import response
from sim.verify.personal import HEAD, halves, split
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Personal]]


def walked(trial: Trial, site: int, w: Array, moves: Array, steps: int, lr: float) -> Array:
    """Model of a site after local steps in some coordinates, bool [D], the others held; [D] -> [D]."""
    at = np.flatnonzero(moves)
    way = response(trial.problem.curvature[site][np.ix_(at, at)], steps, lr, trial.training.momentum)
    w = w.copy()
    w[at] -= way @ trial.problem.gradient(site, w)[at]
    return w


def two_parts() -> Trial:
    """Sampled sites, unequal steps, momentum, a falling rate and chunks of two."""
    trial = spatial(20, 3, momentum=0.3)
    return replace(trial, module=halves, training=replace(trial.training, decay=0.97, chunk=2))


def fedrep(trial: Trial, ratio: int) -> tuple[Array, Array]:
    """Collins et al. 2021, Algorithm 1: server path [T + 1, D] and own models [S, D]; heads first."""
    x, own, path = trial.start, np.tile(trial.start, (len(trial.steps), 1)), [trial.start]
    for tick in trial.ticks():
        ends = []
        for site in tick.sites:
            body = max(1, trial.steps[site] // (ratio + 1))
            w = walked(trial, site, np.where(HEAD, own[site], x), HEAD, trial.steps[site] - body, tick.lr)
            own[site] = walked(trial, site, w, ~HEAD, body, tick.lr)
            ends.append(np.where(HEAD, 0.0, own[site] - x))
        x = x + tick.p @ np.stack(ends)
        path.append(x)
    return np.stack(path), own


def fedbabu(trial: Trial, steps: int, tuned: Array) -> tuple[Array, Array]:
    """Oh et al. 2022, Algorithm 1: server path [T + 1, D] and adapted models [S, D]; `tuned` moves at the end."""
    x, path = trial.start, [trial.start]
    for tick in trial.ticks():
        ends = [walked(trial, site, x, ~HEAD, trial.steps[site], tick.lr) - x for site in tick.sites]
        x, last = x + tick.p @ np.stack(ends), tick.lr
        path.append(x)
    return np.stack(path), np.stack([walked(trial, site, x, tuned, steps, last) for site in range(len(trial.steps))])


def follows(kind: type[Personal], closed: tuple[Array, Array], words: str, **settings: object) -> Check[Personal]:
    """Server path and own models are the closed form's."""

    def walks(entry: type[Personal]) -> float:
        roles, trial = Roles(personal=narrow(entry, kind)(**settings)), two_parts()
        return max(gap(trial.path(roles), closed[0]), gap(trial.own(roles), closed[1]))

    return Check(words, walks)


def travels(kind: type[Personal], numbers: int, words: str) -> Check[Personal]:
    """So many numbers of five travel, up and down."""

    def counts(entry: type[Personal]) -> float:
        profile = two_parts().plan(Roles(personal=narrow(entry, kind)())).profile
        return abs(profile.bytes_up - numbers * 8) + abs(profile.bytes_down - numbers * 8)

    return Check(words, counts, 0.0)


def of_fedrep() -> Checks:
    """FedRep."""
    for ratio in (1, 2):
        words = f"path and own models, heads first, ratio {ratio}"
        yield follows(FedRep, fedrep(two_parts(), ratio), words, ratio=ratio)
    yield travels(FedRep, 3, "the body alone travels: three numbers of five")


def of_lgfedavg() -> Checks:
    """LG-FedAvg."""
    yield follows(LGFedAvg, split(two_parts(), ~HEAD), "path and own models, the first layer private")
    yield travels(LGFedAvg, 2, "the head alone travels: two numbers of five")


def of_fedbabu() -> Checks:
    """FedBABU."""
    for part, tuned in ((Part.whole, np.ones(5, dtype=bool)), (Part.head, HEAD), (Part.body, ~HEAD)):
        words = f"path with the head held, own models after 4 steps, tuned {part.value}"
        yield follows(FedBABU, fedbabu(two_parts(), 4, tuned), words, steps=4, tuned=part)
    yield travels(FedBABU, 3, "the body alone travels: three numbers of five")

    def held(entry: type[Personal]) -> float:
        path = two_parts().path(Roles(personal=narrow(entry, FedBABU)()))
        return gap(path[:, HEAD], path[:1, HEAD])

    yield Check("the head stays where it began, bit for bit", held, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"fedrep": of_fedrep, "lgfedavg": of_lgfedavg, "fedbabu": of_fedbabu}
