"""What is proved of batch norms at home: a federation of plain torch models with BatchNorm1d goes the same way."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from sim.checks import Refused
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.unseen import averaged, newcomer, settled
from sim.local.settings import Training
from sim.methods.personal import Personal, Private
from sim.methods.personal.base import Unseen
from sim.methods.personal.fedbn import FedBN, Kept
from sim.methods.roles import Roles
from sim.tasks.normed import BatchNorm
from sim.verify.check import Check
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow, site_models

Checks = Iterator[Check[Personal]]

UNITS = 2
NAMES = ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "3.weight", "3.bias")
SIZES = (5 * UNITS, UNITS, UNITS, UNITS, UNITS, UNITS, UNITS, 1)
STAY = {Kept.both: NAMES[2:6], Kept.statistics: NAMES[4:6], Kept.affine: NAMES[2:4]}
FIRST = (*np.linspace(-0.6, 0.7, 12), 1.1, 0.8, 0.2, -0.3, 0.1, -0.2, 0.9, 1.2, 0.5, -0.4, 0.3)


def normed() -> nn.Module:
    """Two normalised units and a head, as the engine trains them; P = 23."""
    return nn.Sequential(nn.Linear(5, UNITS), BatchNorm(UNITS), nn.Tanh(), nn.Linear(UNITS, 1))


def marks(names: tuple[str, ...]) -> Array:
    """Entries of a model [P] that belong to these parameters; bool [P]."""
    return np.repeat([name in names for name in NAMES], SIZES)


def normed_trial(sites: int = 3) -> Trial:
    """Six sites of which so many train in a round, unequal steps, momentum, a falling rate, weight decay."""
    trial = spatial(8, sites, momentum=0.3)
    training = replace(trial.training, lr=0.05, decay=0.97, weight_decay=0.02, chunk=2)
    return replace(trial, module=normed, training=training, first=FIRST)


class Torch:
    """One site's copy of the model in plain torch."""

    def __init__(self, trial: Trial, site: int) -> None:
        self.net = nn.Sequential(nn.Linear(5, UNITS), nn.BatchNorm1d(UNITS), nn.Tanh(), nn.Linear(UNITS, 1)).double()
        rows = trial.problem.federation
        low, high = rows.bounds[site, 0], rows.bounds[site, 0] + rows.rows[site]
        self.x, self.y = torch.from_numpy(rows.x[low:high]), torch.from_numpy(rows.y["value"][low:high])

    def descent(self, training: Training, lr: float) -> torch.optim.Optimizer:
        """Torch's own SGD."""
        return torch.optim.SGD(self.net.parameters(), lr, training.momentum, weight_decay=training.weight_decay)

    def load(self, w: Array) -> dict[str, torch.Tensor]:
        """Put a model [P] into the net, in training mode; its state."""
        state = self.net.state_dict()
        for name, part in zip(NAMES, np.split(w, np.cumsum(SIZES)[:-1]), strict=True):
            state[name].copy_(torch.from_numpy(part).view_as(state[name]))
        self.net.train()
        return state

    def read_rows(self, w: Array) -> Array:
        """The model with the running statistics that torch keeps of all rows, read once; [P] -> [P]."""
        state = self.load(w)
        for layer in self.net:
            if isinstance(layer, nn.BatchNorm1d):
                layer.momentum = 1.0
        self.net(self.x)
        return vector(state)

    def trained(self, w: Array, steps: int, lr: float, training: Training) -> Array:
        """The model after steps on all rows in torch's own training mode; [P] -> [P]."""
        state = self.load(w)
        descent = self.descent(training, lr)
        for _ in range(steps):
            descent.zero_grad()
            torch.autograd.backward(0.5 * (self.net(self.x)[:, 0] - self.y).square().mean())
            descent.step()
        return vector(state)


def vector(state: dict[str, torch.Tensor]) -> Array:
    """The parameters and running statistics of a net; [P]."""
    return np.concatenate([state[name].numpy().ravel() for name in NAMES])


@functools.cache
def federated(names: tuple[str, ...], sites: int = 3) -> tuple[Array, Array]:
    """Server path [T + 1, P] and the sites' models [S, P] of `normed_trial` where these parameters stay at home."""
    trial, private = normed_trial(sites), marks(names)
    copies = [Torch(trial, site) for site in range(len(trial.steps))]
    x, own, path = trial.start, np.tile(trial.start, (len(trial.steps), 1)), [trial.start]
    for tick in trial.ticks():
        for site in tick.sites:
            began = np.where(private, own[site], x)
            own[site] = copies[site].trained(began, trial.steps[site], tick.lr, trial.training)
        x = np.where(private, x, tick.p @ own[tick.sites])
        path.append(x)
    return np.stack(path), own


def of_fedbn() -> Checks:
    """FedBN with each of its policies."""
    trial = normed_trial()
    for kept, names in STAY.items():

        def walks(entry: type[Personal], kept: Kept = kept, names: tuple[str, ...] = names) -> float:
            roles, (path, own) = Roles(personal=narrow(entry, FedBN)(keeps=kept)), federated(names)
            return max(gap(trial.path(roles), path), gap(trial.own(roles), own))

        yield Check(f"server path and own models are those of torch's BatchNorm1d, keeps {kept.value}", walks)

        def travels(entry: type[Personal], kept: Kept = kept, names: tuple[str, ...] = names) -> float:
            profile = trial.plan(Roles(personal=narrow(entry, FedBN)(keeps=kept))).profile
            numbers = sum(SIZES) - int(marks(names).sum())
            return abs(profile.bytes_up - 8 * numbers) + abs(profile.bytes_down - 8 * numbers)

        yield Check(f"what stays costs no bytes, keeps {kept.value}", travels, 0.0)

    def judged(entry: type[Personal]) -> float:
        plan, (path, own) = trial.plan(Roles(personal=narrow(entry, FedBN)())), federated(STAY[Kept.both])
        *_, last = simulate(plan, InProcess(), torch.from_numpy(trial.start))
        return gap(site_models(last), np.where(marks(STAY[Kept.both]), own, path[-1]))

    yield Check("a site is judged by the shared weights under its own batch norms", judged)

    for rule in Unseen:

        def unseen(entry: type[Personal], rule: Unseen = rule) -> float:
            plan = trial.plan(Roles(personal=narrow(entry, FedBN)(unseen=rule)))
            (path, own), stays = federated(STAY[Kept.both]), marks(STAY[Kept.both])
            weight = plan.federation.rows * (own != trial.start).any(1)
            wanted = np.where(stays, weight / weight.sum() @ own, path[-1])
            new = Torch(trial, 0)
            found, given = averaged(plan, own, torch.from_numpy(path[-1])), newcomer(plan)
            if given is None:
                return np.inf
            ours = settled(given, plan.task, found, new.x.numpy()).numpy()
            return gap(ours, wanted if rule is Unseen.average else new.read_rows(wanted))

        what = "mean of the batch norms" if rule is Unseen.average else "statistics of its rows, as torch gathers them"
        yield Check(f"a site that never trained has the {what}, unseen {rule.value}", unseen)

    def plain(entry: type[Personal]) -> float:
        narrow(entry, FedBN)
        return gap(trial.path(Roles()), federated(())[0])

    yield Check("beside it FedAvg averages weights and running statistics alike", plain)

    def alone(entry: type[Personal]) -> float:
        narrow(entry, FedBN)
        return gap(normed_trial(sites=0).own(Roles(personal=Private())), federated(NAMES, sites=0)[1])

    yield Check("with everything private each site trains as torch does alone", alone)

    def misfit(entry: type[Personal]) -> float:
        try:
            _ = spatial(1, 0).plan(Roles(personal=narrow(entry, FedBN)())).choice
        except Refused:
            return 0.0
        return 1.0

    yield Check("a network without batch norm is refused", misfit, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"fedbn": of_fedbn}
