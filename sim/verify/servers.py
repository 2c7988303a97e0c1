"""What is proved of every server optimiser, by its name in the table of servers. The sites run FedAvg."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from sim.local.settings import Training
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.methods.servers import Adagrad, Adam, FedExP, Momentum, Server
from sim.methods.systems.sync import Sync
from sim.verify import fixed_points as rest
from sim.verify.check import Check
from sim.verify.paths import fedavg, moves
from sim.verify.quadratic import Array, six_sites, two_sites
from sim.verify.trial import Trial, gap, narrow

T = TypeVar("T", bound=Server)
Checks = Iterator[Check[Server]]


def trial(rounds: int) -> Trial:
    """Six random quadratics, three of them a round."""
    return Trial(six_sites(), (3, 1, 4, 2, 6, 3), rounds, Training(lr=0.05, batch=0), Weighting.patients, Sync(3))


def by_torch(trial: Trial, make: Callable[[list[Tensor]], Optimizer]) -> Array:
    """The path of a torch optimiser whose gradient is minus FedAvg's step in closed form; [T + 1, D]."""
    x = torch.tensor(trial.start)
    optimiser, path = make([x]), [trial.start]
    for tick in trial.ticks():
        x.grad = torch.from_numpy(-tick.p @ moves(trial, tick, x.numpy()))
        optimiser.step()
        path.append(x.numpy().copy())
    return np.stack(path)


def by_paper(trial: Trial, lr: float, beta1: float, tau: float, second: Callable[[Array, Array], Array]) -> Array:
    """Reddi et al. 2021, Algorithm 2, from v_{-1} = tau^2; second(v, Delta) is its rule for v; [T + 1, D]."""
    x, path = trial.start, [trial.start]
    m, v = np.zeros_like(x), np.full_like(x, tau**2)
    for tick in trial.ticks():
        step = tick.p @ moves(trial, tick, x)
        m, v = beta1 * m + (1 - beta1) * step, second(v, step)
        x = x + lr * m / (np.sqrt(v) + tau)
        path.append(x)
    return np.stack(path)


def rests(make: Callable[[type[Server]], Server], rounds: int) -> Checks:
    """A server optimiser changes the way, not where FedAvg comes to rest."""
    still = Trial(two_sites(), (2, 4), rounds, Training(lr=0.1, batch=0))
    yield Check(
        "keeps FedAvg's fixed point", lambda server: gap(still.end(Roles(server=make(server))), rest.fedavg(still))
    )


def of_sgd() -> Checks:
    """Plain addition."""
    rate = 0.6
    yield Check(
        "rate 1 adds the mean step", lambda server: gap(trial(30).path(Roles(server=server(lr=1.0))), fedavg(trial(30)))
    )
    yield Check(
        f"rate {rate:g} is torch's SGD",
        lambda server: gap(
            trial(30).path(Roles(server=server(lr=rate))), by_torch(trial(30), lambda x: torch.optim.SGD(x, rate))
        ),
    )
    yield from rests(lambda server: server(lr=rate), 80)


def of_momentum() -> Checks:
    """FedAvgM."""
    for lr, beta in ((1.0, 0.9), (0.4, 0.5)):

        def error(server: type[Server], lr: float = lr, beta: float = beta) -> float:
            made = narrow(server, Momentum)(lr=lr, beta=beta)
            return gap(trial(40).path(Roles(server=made)), by_torch(trial(40), lambda x: torch.optim.SGD(x, lr, beta)))

        yield Check(f"lr {lr:g}, beta {beta:g} is torch's SGD with momentum", error)
    yield from rests(lambda server: narrow(server, Momentum)(lr=0.4, beta=0.6), 120)


def of_adagrad() -> Checks:
    """FedAdagrad."""
    lr, tau = 0.3, 0.05

    def torch_error(server: type[Server]) -> float:
        def make(x: list[Tensor]) -> Optimizer:
            return torch.optim.Adagrad(x, lr, initial_accumulator_value=tau**2, eps=tau)

        return gap(
            trial(40).path(Roles(server=narrow(server, Adagrad)(lr=lr, beta1=0.0, tau=tau))), by_torch(trial(40), make)
        )

    def paper_error(server: type[Server]) -> float:
        made = narrow(server, Adagrad)(lr=lr, beta1=0.7, tau=tau)
        return gap(trial(40).path(Roles(server=made)), by_paper(trial(40), lr, 0.7, tau, lambda v, step: v + step**2))

    yield Check("is torch's Adagrad", torch_error)
    yield Check("path of 40 rounds of Algorithm 2, beta1 0.7", paper_error)
    yield from rests(lambda server: narrow(server, Adagrad)(lr=1.0, tau=0.5), 150)


def first_step() -> Checks:
    """One round of FedAdam with K = 1 and local rate 1 is one step of torch's Adam at rate 1.

    Torch's bias corrections cancel at the first step: g / (|g| + eps). With server rate sqrt(1 - beta2) / (1 - beta1)
    and tau = eps sqrt(1 - beta2) the paper's step is the same (du Terrail et al., FLamby, NeurIPS 2022, test of
    FedAdam), up to v_{-1} = tau^2 instead of 0, which is a part tau^2 / g^2 of 1e-14 here.
    """
    beta1, beta2, eps = 0.9, 0.99, 1e-6
    once = replace(trial(1), steps=(1,) * 6, training=Training(lr=1.0, batch=0))
    lr, tau = math.sqrt(1 - beta2) / (1 - beta1), eps * math.sqrt(1 - beta2)

    def error(server: type[Server]) -> float:
        made = narrow(server, Adam)(lr=lr, beta1=beta1, beta2=beta2, tau=tau)
        return gap(
            once.path(Roles(server=made)), by_torch(once, lambda x: torch.optim.Adam(x, 1.0, (beta1, beta2), eps))
        )

    yield Check("first step is torch's Adam", error)


def moments(rule: Callable[[Array, Array, float], Array]) -> Checks:
    """Algorithm 2 of Reddi et al. with this rule for v, and FedAvg's fixed point once tau damps the steps."""
    for lr, beta1, beta2, tau in ((0.1, 0.9, 0.99, 1e-3), (0.3, 0.5, 0.8, 0.05)):

        def error(
            server: type[Server], lr: float = lr, beta1: float = beta1, beta2: float = beta2, tau: float = tau
        ) -> float:
            made = narrow(server, Adam)(lr=lr, beta1=beta1, beta2=beta2, tau=tau)
            paper = by_paper(trial(60), lr, beta1, tau, lambda v, step: rule(v, step, beta2))
            return gap(trial(60).path(Roles(server=made)), paper)

        yield Check(f"path of 60 rounds of Algorithm 2, beta ({beta1:g}, {beta2:g}), tau {tau:g}", error)
    yield from rests(lambda server: narrow(server, Adam)(lr=1.0, beta1=0.5, beta2=0.9, tau=0.5), 200)


def adam_rule(v: Array, step: Array, beta2: float) -> Array:
    """FedAdam: a moving average of squares."""
    return beta2 * v + (1 - beta2) * step**2


def yogi_rule(v: Array, step: Array, beta2: float) -> Array:
    """FedYogi: v moves towards the square by the same amount whatever the distance."""
    return np.where(v > step**2, v - (1 - beta2) * step**2, v + (1 - beta2) * step**2)


def of_adam() -> Checks:
    """FedAdam."""
    yield from first_step()
    yield from moments(adam_rule)


def of_yogi() -> Checks:
    """FedYogi. From v = 0 its first step is Adam's; a correct Yogi differs from Adam only in the rule for v."""
    yield from first_step()
    yield from moments(yogi_rule)


def extrapolated(trial: Trial, lr: float, epsilon: float, average: bool) -> Array:
    """Jhunjhunwala et al. 2023, Algorithm 1, sums weighted by p; the evaluated models; [T + 1, D]."""
    x, path = trial.start, [trial.start]
    for tick in trial.ticks():
        delta, before = moves(trial, tick, x), x
        mean = tick.p @ delta
        rate = max(1.0, tick.p @ (delta**2).sum(1) / (2 * (mean @ mean + epsilon)))
        x = x + lr * rate * mean
        path.append((before + x) / 2 if average else x)
    return np.stack(path)


def of_fedexp() -> Checks:
    """FedExP."""
    for weighting in Weighting:
        for lr, epsilon, average in ((1.0, 1e-3, True), (0.7, 1e-2, False)):
            here = replace(trial(25), weighting=weighting)

            def error(
                server: type[Server],
                here: Trial = here,
                lr: float = lr,
                epsilon: float = epsilon,
                average: bool = average,
            ) -> float:
                made = narrow(server, FedExP)(lr=lr, epsilon=epsilon, average=average)
                return gap(here.path(Roles(server=made)), extrapolated(here, lr, epsilon, average))

            kind = "mean of the last two models" if average else "last model"
            yield Check(f"path of 25 rounds, {kind}, weighting {weighting.value}", error)
    wide = trial(20)
    yield Check(
        "a wide epsilon is FedAvg",
        lambda server: gap(
            wide.path(Roles(server=narrow(server, FedExP)(epsilon=1e9, average=False))), wide.path(Roles())
        ),
    )


CHECKS: dict[str, Callable[[], Checks]] = {
    "sgd": of_sgd,
    "momentum": of_momentum,
    "adagrad": of_adagrad,
    "adam": of_adam,
    "yogi": of_yogi,
    "fedexp": of_fedexp,
}
