"""What is proved of one-shot federated learning."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sim.engine.loops import OwnLoop
from sim.engine.oneshot import How, OneShot
from sim.engine.simulation import Round
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import response
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow


def alone(trial: Trial, start: Array) -> Array:
    """Models of sites that never hear of each other, after all rounds; [S, D]."""
    own = np.tile(start, (len(trial.steps), 1))
    for tick in trial.ticks():
        for site, steps in enumerate(trial.steps):
            moved = response(trial.problem.curvature[site], steps, tick.lr, trial.training.momentum)
            own[site] -= moved @ trial.problem.gradient(site, own[site])
    return own


def mixed(here: Round) -> Array:
    """The linear map that predicts what the sites' mixture does; [D]."""
    assert here.mixture is not None
    return np.asarray(here.mixture[0] @ here.model.numpy())


def traffic(here: Round) -> Array:
    """Bytes down and up; [2]."""
    return np.array([here.bytes_down, here.bytes_up], dtype=np.float64)


def of_oneshot() -> Iterator[Check[OwnLoop]]:
    """One-shot learning."""
    trial = spatial(9, momentum=0.4)
    trial = replace(trial, steps=(4,) * 6, training=replace(trial.training, steps=4, decay=0.9, chunk=2))
    start = np.asarray(trial.plan(Roles()).standing().x.numpy())
    for weighting in Weighting:
        weighed = replace(trial, weighting=weighting)

        def averaged(entry: type[OwnLoop], trial: Trial = weighed) -> float:
            return gap(trial.loop(narrow(entry, OneShot)())[-1], trial.weights @ alone(trial, start))

        yield Check(f"the mean of models trained alone for 9 rounds, weighting {weighting.value}", averaged)

    def one_round(entry: type[OwnLoop]) -> float:
        once = replace(trial, rounds=1)
        return gap(once.loop(narrow(entry, OneShot)()), replace(once, first=tuple(start)).path(Roles()))

    yield Check("one round is one round of FedAvg, bit for bit", one_round, 0.0)

    def ensemble(entry: type[OwnLoop]) -> float:
        found = trial.each(narrow(entry, OneShot)(how=How.ensemble), lambda here: here)
        own = alone(trial, start)
        return max(gap(found[-1].model.numpy(), own), gap(mixed(found[-1]), own.mean(0)))

    yield Check("the ensemble is of all sites' models, and its prediction their plain mean", ensemble)

    for how in How:

        def counted(entry: type[OwnLoop], how: How = how) -> float:
            size, sites = 8 * len(start), len(trial.steps)
            expected = np.zeros((trial.rounds + 1, 2))
            expected[1, 0] = expected[-1, 1] = sites * size
            expected[-1, 0] = sites * sites * size if how is How.ensemble else 0
            return gap(np.stack(trial.each(narrow(entry, OneShot)(how=how), traffic)), expected)

        yield Check(f"the start down, one upload each, how={how.value}", counted, 0.0)
