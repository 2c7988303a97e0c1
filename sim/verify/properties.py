"""Properties that several algorithms share, each a family of checks."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from sim.local import plan
from sim.local.settings import Tier, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.verify import paths as recursion
from sim.verify.check import Check
from sim.verify.quadratic import Array, six_sites, two_sites
from sim.verify.trial import Trial, gap

Checks = Iterator[Check[Algorithm]]
Build = Callable[[type[Algorithm]], Algorithm]  # the class with settings
Closed = Callable[[Trial], Array]  # a path [T + 1, D] or its end [D], without the engine


def plain(method: type[Algorithm]) -> Algorithm:
    """A method as it is by default."""
    return method()


def follows(build: Build, trial: Trial, closed: Closed, words: str, tolerance: float = 1e-10) -> Check[Algorithm]:
    """The whole path is the closed form's."""
    return Check(words, lambda method: gap(trial.path(Roles(build(method))), closed(trial)), tolerance)


def ends(build: Build, trial: Trial, closed: Closed, words: str, tolerance: float = 1e-10) -> Check[Algorithm]:
    """The last model is the closed form's limit."""
    return Check(words, lambda method: gap(trial.end(Roles(build(method))), closed(trial)), tolerance)


def scalar(steps: tuple[int, int], lr: float, rounds: int, momentum: float = 0.0) -> Trial:
    """A trial on the two-site quadratic, with fixed points computed by hand."""
    return Trial(two_sites(), steps, rounds, Training(lr=lr, batch=0, momentum=momentum))


def spatial(rounds: int, sites: int = 0, weighting: Weighting = Weighting.patients, momentum: float = 0.0) -> Trial:
    """A trial on six random quadratics with unequal rows and steps; sites: how many train in a round, 0 = all."""
    training = Training(lr=0.05, batch=0, momentum=momentum)
    return Trial(six_sites(), (3, 1, 4, 2, 6, 3), rounds, training, weighting, Sync(sites))


def paths(build: Build, closed: Closed) -> Checks:
    """The path under partial participation, for each weighting, with and without momentum; then with weight decay.

    The engine chooses the fused tier if the method does not override `direction`; the tensor tier must agree with it.
    """
    for weighting in Weighting:
        for momentum in (0.0, 0.6):
            trial = spatial(30, 3, weighting, momentum)
            # A decreasing rate distinguishes division by this round's rate from division by the next one's; chunks of
            # two make
            # a round's mean the sum of two parts.
            trial = replace(trial, training=replace(trial.training, decay=0.98, chunk=2))
            words = f"path, 3 of 6 sites, weighting {weighting.value}, momentum {momentum:g}"
            yield follows(build, trial, closed, words)
            stacked = replace(trial, training=replace(trial.training, tier=Tier.stacked))
            yield follows(build, stacked, closed, f"{words}, stacked tier")
    whole = spatial(15, momentum=0.3)
    whole = replace(whole, training=replace(whole.training, weight_decay=0.2))
    yield follows(build, whole, closed, "path, all sites, weight decay")


def rests(closed: Closed) -> Checks:
    """Fixed point on the two-site quadratic for equal and unequal steps."""
    for steps in ((10, 10), (5, 20)):
        yield ends(plain, scalar(steps, 0.02, 60), closed, f"fixed point, K={steps}, lr 0.02")


def optimum(build: Build, trial: Trial, words: str) -> Check[Algorithm]:
    """The pooled optimum of two sites; by hand (1 * -1 + 4 * 2) / (1 + 4) = 1.4."""
    return ends(build, trial, Trial.optimum, f"optimum 1.4, K={trial.steps}, {words}")


def optima(build: Build) -> Checks:
    """The pooled optimum of six random quadratics with unequal steps, by a linear solve."""
    for weighting in Weighting:
        for sites, rounds in ((0, 120), (3, 250)):
            words = f"pooled optimum, {sites or 'all'} of 6 sites, weighting {weighting.value}"
            yield ends(build, spatial(rounds, sites, weighting), Trial.optimum, words)


def one_step(build: Build) -> Checks:
    """One full-batch step at every site is one step of gradient descent on the pooled objective.

    The proximal term changes nothing: at its first step a site is still at the server's model.
    """
    for weighting in Weighting:
        trial = replace(spatial(30, weighting=weighting), steps=(1,) * 6)
        words = f"one local step is pooled gradient descent, weighting {weighting.value}"
        yield follows(build, trial, recursion.descent, words)


def alone(build: Build = plain, beside: str = "") -> Checks:
    """One site is ordinary SGD on its mini-batches."""
    whole = six_sites()
    problem = replace(whole, curvature=whole.curvature[1:2], centre=whole.centre[1:2], copies=whole.copies[1:2])
    trial = Trial(problem, (6,), 12, Training(lr=0.05, batch=4, momentum=0.6, weight_decay=0.1))
    yield follows(build, trial, torch_sgd, f"one site is torch's SGD on its batches{beside}")


def torch_sgd(trial: Trial) -> Array:
    """Path of torch.optim.SGD on the first site's mini-batches, at rest when a round begins; [T + 1, D]."""
    federation, training = trial.problem.federation, trial.training
    x, y = torch.from_numpy(federation.x), torch.from_numpy(np.asarray(federation.y["value"], dtype=np.float64))
    w = torch.tensor(trial.start, requires_grad=True)
    sites = plan.Sites(federation.bounds[:, 0], federation.rows, np.array(trial.steps), federation.keys)
    path = [trial.start]
    for number in range(1, trial.rounds + 1):
        optimiser = torch.optim.SGD([w], training.lr, training.momentum, weight_decay=training.weight_decay)
        for step in plan.steps(sites, training, trial.seed, number):
            row = torch.from_numpy(step.row[0][step.valid[0]])
            (w.grad,) = torch.autograd.grad((0.5 * (x[row] @ w - y[row]) ** 2).mean(), [w])
            optimiser.step()
        path.append(w.detach().numpy().copy())
    return np.stack(path)


def averages(build: Build, trial: Trial, words: str, tolerance: float) -> Check[Algorithm]:
    """A special case whose path is the engine's own FedAvg."""
    return follows(build, trial, lambda trial: trial.path(Roles()), words, tolerance)
