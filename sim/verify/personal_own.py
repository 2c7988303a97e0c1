"""Certificates of complete models of the sites other than Ditto: MR-MTL, fine-tuning."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sim.local.settings import Tier
from sim.methods.personal.base import Adapted, Personal
from sim.methods.personal.finetune import FineTune
from sim.methods.personal.own_models import MRMTL
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import fedavg, response
from sim.verify.personal import steady
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Personal]]


def mrmtl(trial: Trial, lam: float) -> tuple[Array, Array]:
    """Liu et al. 2022: server path [T + 1, D] and own models [S, D]; sites that are not asked keep their models."""
    x, own, path = trial.start, np.tile(trial.start, (len(trial.steps), 1)), [trial.start]
    for tick in trial.ticks():
        for site in tick.sites:
            hessian = trial.problem.curvature[site] + lam * np.eye(len(x))
            first = trial.problem.gradient(site, own[site]) + lam * (own[site] - x)
            own[site] = own[site] - response(hessian, trial.steps[site], tick.lr, trial.training.momentum) @ first
        x = tick.p @ own[tick.sites]
        path.append(x)
    return np.stack(path), own


def regularised(trial: Trial, lam: float) -> Array:
    """argmin of sum p_i (f_i(w_i) + lam/2 |w_i - x|^2) over w and `x = sum p_i w_i`, by one linear solve; [S, D]."""
    a, b, p = trial.problem.curvature, trial.problem.centre, trial.weights
    size = b.shape[1]
    inverse = np.linalg.inv(a + lam * np.eye(size))  # w_i = inverse_i (A_i b_i + lam x)
    free = np.einsum("sij,sjk,sk->si", inverse, a, b)
    x = np.linalg.solve(np.eye(size) - lam * np.einsum("s,sij->ij", p, inverse), p @ free)
    return np.asarray(free + lam * np.einsum("sij,j->si", inverse, x))


def of_mrmtl() -> Checks:
    """MR-MTL."""
    for tier in (Tier.auto, Tier.stacked):
        trial = spatial(20, 3, momentum=0.4)
        trial = replace(trial, training=replace(trial.training, decay=0.97, tier=tier, chunk=2))

        def walks(entry: type[Personal], trial: Trial = trial) -> float:
            roles, (path, own) = Roles(personal=narrow(entry, MRMTL)(lam=0.7)), mrmtl(trial, 0.7)
            return max(gap(trial.path(roles), path), gap(trial.own(roles), own))

        yield Check(f"path and own models, 3 of 6 sites, tier {tier.value}", walks)
    for lam in (0.1, 1.0):

        def rests(entry: type[Personal], lam: float = lam) -> float:
            trial = replace(steady(lam, 250), steps=(3, 1, 4, 2, 6, 3))
            return gap(trial.own(Roles(personal=narrow(entry, MRMTL)(lam=lam))), regularised(trial, lam))

        yield Check(f"own models rest at the joint optimum, lam {lam:g}, whatever the steps", rests, 1e-9)

    def alone(entry: type[Personal]) -> float:
        trial = steady(0.0, 200)
        return gap(trial.own(Roles(personal=narrow(entry, MRMTL)(lam=0.0))), trial.problem.centre)

    yield Check("with lam 0 each site ends at its own optimum", alone)


def of_finetune() -> Checks:
    """Fine-tuning."""
    trial = spatial(10, 3, momentum=0.5)
    trial = replace(trial, training=replace(trial.training, decay=0.9, chunk=2))

    def beside(entry: type[Personal]) -> float:
        roles = Roles(personal=narrow(entry, FineTune)(adapt=Adapted.scored))
        return gap(trial.path(roles), trial.path(Roles()))

    yield Check("the shared model is FedAvg's, bit for bit", beside, 0.0)
    for steps, rate in ((0, 0.0), (1, 0.0), (5, 0.0), (5, 0.02)):

        def adapts(entry: type[Personal], steps: int = steps, rate: float = rate) -> float:
            x, lr = fedavg(trial)[-1], rate or trial.training.lr * 0.9**9
            ways = [response(a, steps, lr, trial.training.momentum) for a in trial.problem.curvature]
            own = [x - way @ trial.problem.gradient(site, x) for site, way in enumerate(ways)]
            return gap(trial.own(Roles(personal=narrow(entry, FineTune)(steps=steps, lr=rate))), np.stack(own))

        yield Check(f"own models are {steps} steps from the last shared one, lr {rate or 'of the round'}", adapts)


CHECKS: dict[str, Callable[[], Checks]] = {"mrmtl": of_mrmtl, "finetune": of_finetune}
