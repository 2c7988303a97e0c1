"""Certificates of every entry of the personal axis, by its name in the table. The sites run FedAvg."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from sim.local.settings import Tier, Training
from sim.methods.personal import Ditto, FedPer, Personal, Private
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import fedavg, response
from sim.verify.properties import spatial
from sim.verify.quadratic import Array, six_sites
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Personal]]

HEAD = np.array([False, False, False, True, True])  # [D] coordinates of the head of `halves`


def of_none() -> Checks:
    """The shared model alone."""
    trial = spatial(10, 3, momentum=0.5)
    yield Check(
        "is FedAvg, bit for bit", lambda entry: gap(trial.path(Roles(personal=entry())), trial.path(Roles())), 0.0
    )


def steady(lam: float, rounds: int) -> Trial:
    """All sites, enough rounds for the shared and the sites' own models to come to rest."""
    return Trial(six_sites(), (4,) * 6, rounds, Training(lr=0.15 / (1 + lam / 4), batch=0))


def pulled(trial: Trial, lam: float, x: Array) -> Array:
    """argmin f_i(v) + lam/2 |v - x|^2 of every site: (A + lam)^-1 (A b + lam x); [S, D]."""
    a, b = trial.problem.curvature, trial.problem.centre
    right = np.einsum("sij,sj->si", a, b) + lam * x
    return np.asarray(np.linalg.solve(a + lam * np.eye(a.shape[-1]), right[..., None])[..., 0])


def ditto(lam: float) -> Callable[[Trial], Array]:
    """The sites' own models after all rounds of Li et al. 2021, Algorithm 1, with sampling; [S, D]."""

    def closed(trial: Trial) -> Array:
        path = fedavg(trial)
        own = np.tile(trial.start, (len(trial.steps), 1))
        for x, tick in zip(path, trial.ticks(), strict=False):
            for site in tick.sites:
                hessian = trial.problem.curvature[site] + lam * np.eye(len(x))
                first = trial.problem.gradient(site, own[site]) + lam * (own[site] - x)
                own[site] = own[site] - response(hessian, trial.steps[site], tick.lr, trial.training.momentum) @ first
        return own

    return closed


def of_ditto() -> Checks:
    """Ditto."""
    for lam in (0.1, 1.0, 10.0):

        def rests(entry: type[Personal], lam: float = lam) -> float:
            trial = steady(lam, 250)
            own = trial.own(Roles(personal=narrow(entry, Ditto)(lam=lam)))
            return gap(own, pulled(trial, lam, trial.end(Roles())))

        yield Check(f"own models rest at (A + lam)^-1 (A b + lam x), lam {lam:g}", rests)
    for tier in (Tier.auto, Tier.stacked):

        def walks(entry: type[Personal], tier: Tier = tier) -> float:
            trial = spatial(15, 3, momentum=0.4)
            trial = replace(trial, training=replace(trial.training, tier=tier, chunk=2))
            return gap(trial.own(Roles(personal=narrow(entry, Ditto)(lam=0.7))), ditto(0.7)(trial))

        yield Check(f"own models after 15 rounds, 3 of 6 sites, tier {tier.value}", walks)
    trial = spatial(10, 3, momentum=0.5)

    def beside(entry: type[Personal]) -> float:
        return gap(trial.path(Roles(personal=narrow(entry, Ditto)(lam=0.3))), trial.path(Roles()))

    yield Check("the shared model is FedAvg's, bit for bit", beside, 0.0)


class Halves(torch.nn.Module):
    """A linear map in two layers side by side: the first features are the body's, the rest the head's."""

    def __init__(self, body: int, head: int) -> None:
        super().__init__()
        self.body = torch.nn.Linear(body, 1, bias=False)
        self.head = torch.nn.Linear(head, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, D] -> [B, 1]."""
        sides = torch.split(x, [self.body.in_features, self.head.in_features], dim=-1)
        out: torch.Tensor = self.body(sides[0]) + self.head(sides[1])
        return out


def halves() -> torch.nn.Module:
    """Three features for the body and two for the head."""
    return Halves(3, 2)


def split(trial: Trial, private: Array) -> tuple[Array, Array]:
    """Server path [T + 1, D] and own models [S, D] where some coordinates are private, bool [D]."""
    x, own, path = trial.start, np.tile(trial.start, (len(trial.steps), 1)), [trial.start]
    for tick in trial.ticks():
        ends = []
        for site in tick.sites:
            w = np.where(private, own[site], x)
            steps = response(trial.problem.curvature[site], trial.steps[site], tick.lr, trial.training.momentum)
            own[site] = w - steps @ trial.problem.gradient(site, w)
            ends.append(np.where(private, 0.0, own[site] - w))
        x = x + tick.p @ np.stack(ends)
        path.append(x)
    return np.stack(path), own


def of_fedper() -> Checks:
    """FedPer, on a linear map whose last two features are the head's."""
    trial = spatial(20, 3, momentum=0.3)
    trial = replace(trial, module=halves)

    def walks(entry: type[Personal]) -> float:
        roles, (path, own) = Roles(personal=narrow(entry, FedPer)()), split(trial, HEAD)
        return max(gap(trial.path(roles), path), gap(trial.own(roles), own))

    yield Check("path and own models, the last layer private", walks)

    def optima(entry: type[Personal]) -> float:
        narrow(entry, FedPer)
        still = steady(0.0, 200)
        return gap(still.own(Roles(personal=Private())), still.problem.centre)

    yield Check("with everything private each site ends at its own optimum", optima)

    def travels(entry: type[Personal]) -> float:
        plan = trial.plan(Roles(personal=narrow(entry, FedPer)()))
        return abs(plan.profile.bytes_up - 3 * 8) + abs(plan.profile.bytes_down - 3 * 8)

    yield Check("the body alone travels: three numbers of five", travels, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"none": of_none, "fedper": of_fedper, "ditto": of_ditto}
