"""Certificates of algorithms that are evaluated by the sites' own models: pFedMe, APFL, Per-FedAvg."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.local.settings import Training
from sim.methods.algorithms.apfl import APFL
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.perfedavg import PerFedAvg, PerFedAvgHF
from sim.methods.algorithms.pfedme import PFedMe
from sim.methods.roles import Roles
from sim.methods.servers import Server
from sim.verify import fixed_points as rest
from sim.verify.check import Check
from sim.verify.paths import fedavg, response
from sim.verify.properties import Checks, averages, spatial
from sim.verify.quadratic import Array, two_sites
from sim.verify.trial import Trial, gap, narrow

Walk = Callable[[Trial, int, Array, float], Array]  # trial, site, downloaded model [D], lr -> its model after the round


def averaged(trial: Trial, walk: Walk, beta: float = 1.0) -> Array:
    """Server path where sites walk by a rule of their own and the server by beta to their mean; [T + 1, D]."""
    x, path = trial.start, [trial.start]
    for tick in trial.ticks():
        x = x + beta * (tick.p @ np.stack([walk(trial, site, x, tick.lr) for site in tick.sites]) - x)
        path.append(x)
    return np.stack(path)


def sampled(rounds: int = 15) -> Trial:
    """Sampled sites, unequal steps, weight decay, a falling rate, chunks of two."""
    training = Training(lr=0.05, batch=0, weight_decay=0.1, decay=0.97, chunk=2)
    return replace(spatial(rounds, 3), training=training)


def gradient(trial: Trial, site: int, w: Array) -> Array:
    """Of a site's objective with its weight decay; [D]."""
    return np.asarray(trial.problem.gradient(site, w) + trial.training.weight_decay * w)


def pfedme(trial: Trial, lam: float, inner: int, rate: float, beta: float) -> tuple[Array, Array]:
    """Dinh et al. 2020, Algorithm 1: server path [T + 1, D] and theta of every site [S, D]."""
    own: Array = np.tile(trial.start, (len(trial.steps), 1))

    def walk(trial: Trial, site: int, x: Array, lr: float) -> Array:
        w, theta = x, x
        for _ in range(trial.steps[site]):
            for _ in range(inner):
                theta = theta - rate * (gradient(trial, site, theta) + lam * (theta - w))
            w = w - lr * lam * (w - theta)
        own[site] = theta
        return w

    return averaged(trial, walk, beta), own


def apfl(trial: Trial, first: float, adaptive: bool) -> tuple[Array, Array]:
    """Deng et al. 2020, Algorithm 1: server path [T + 1, D] and mixtures [S, D]."""
    own, kept = np.tile(trial.start, (len(trial.steps), 1)), np.tile(trial.start, (len(trial.steps), 1))
    alphas = np.full(len(own), first)

    def walk(trial: Trial, site: int, x: Array, lr: float) -> Array:
        w, v, alpha = x, kept[site], alphas[site]
        for _ in range(trial.steps[site]):
            g = gradient(trial, site, alpha * v + (1 - alpha) * w)
            turned = np.clip(alpha - lr * g @ (v - w), 0.0, 1.0) if adaptive else alpha
            w, v, alpha = w - lr * gradient(trial, site, w), v - lr * alpha * g, turned
        kept[site], alphas[site], own[site] = v, alpha, alpha * v + (1 - alpha) * w
        return w

    return averaged(trial, walk), own


def perfedavg(trial: Trial, alpha: float, hessian: bool) -> tuple[Array, Array]:
    """Fallah et al. 2020, Algorithm 1: server path [T + 1, D] and models after one step [S, D].

    With `H = A + decay` the adapted gradient is linear: `H (1 - alpha H)` times the way to the optimum, once more
    `(1 - alpha H)` with second derivatives.
    """
    size = len(trial.start)

    def walk(trial: Trial, site: int, x: Array, lr: float) -> Array:
        whole = trial.problem.curvature[site] + trial.training.weight_decay * np.eye(size)
        left = np.eye(size) - alpha * whole
        turn = left @ left if hessian else left
        step: Array = response(whole @ turn, trial.steps[site], lr, 0.0) @ (turn @ gradient(trial, site, x))
        return x - step

    path = averaged(trial, walk)
    ways = [gradient(trial, site, path[-1]) for site in range(len(trial.steps))]
    return path, path[-1] - alpha * np.stack(ways)


def follows(method: Algorithm, trial: Trial, closed: tuple[Array, Array], beta: float = 1.0) -> float:
    """Distance of server path and own models from a closed form."""
    roles = Roles(method, server=Server(lr=beta))
    return max(gap(trial.path(roles), closed[0]), gap(trial.own(roles), closed[1]))


def of_pfedme() -> Checks:
    """pFedMe."""
    for beta, inner in ((1.0, 3), (1.5, 5)):

        def walks(method: type[Algorithm], beta: float = beta, inner: int = inner) -> float:
            made = narrow(method, PFedMe)(lam=2.0, inner=inner, rate=0.07)
            return follows(made, sampled(), pfedme(sampled(), 2.0, inner, 0.07, beta), beta)

        yield Check(f"path and theta, 3 of 6 sites, weight decay, beta {beta:g}, K {inner}", walks)

    def rests(method: type[Algorithm]) -> float:
        trial = Trial(two_sites(), (1, 1), 90, Training(lr=0.5, batch=0))
        made = narrow(method, PFedMe)(lam=1.0, inner=80, rate=2 / 7)
        return gap(trial.end(Roles(made)), rest.fedprox(1.0)(trial))

    yield Check("rests at the optimum of the envelopes, 0.846154 for two sites, lam 1", rests)


def of_apfl() -> Checks:
    """APFL."""
    for alpha, adaptive in ((0.3, False), (0.5, True), (0.02, True), (0.98, True)):

        def walks(method: type[Algorithm], alpha: float = alpha, adaptive: bool = adaptive) -> float:
            made = narrow(method, APFL)(alpha=alpha, adaptive=adaptive)
            return follows(made, sampled(), apfl(sampled(), alpha, adaptive))

        yield Check(f"path and mixtures, 3 of 6 sites, weight decay, alpha {alpha:g}, adaptive {adaptive}", walks)

    def beside(method: type[Algorithm]) -> float:
        made = narrow(method, APFL)(alpha=0.4)
        return gap(sampled().path(Roles(made)), fedavg(sampled()))

    yield Check("the shared model is FedAvg's", beside)

    def alone(method: type[Algorithm]) -> float:
        trial = replace(spatial(220), steps=(4,) * 6)
        made = narrow(method, APFL)(alpha=1.0, adaptive=False)
        return gap(trial.own(Roles(made)), trial.problem.centre)

    yield Check("with alpha 1 each site ends at its own optimum", alone)


def of_perfedavg() -> Checks:
    """Per-FedAvg, first order."""
    yield from meta(PerFedAvg, hessian=False)


def of_perfedavghf() -> Checks:
    """Per-FedAvg, Hessian-free, which is exact for quadratics."""
    yield from meta(PerFedAvgHF, hessian=True)


def meta(kind: type[PerFedAvg], hessian: bool) -> Checks:
    """Path and models after one step; without adaptation FedAvg."""
    for alpha in (0.03, 0.1):

        def walks(method: type[Algorithm], alpha: float = alpha) -> float:
            return follows(narrow(method, kind)(alpha=alpha), sampled(), perfedavg(sampled(), alpha, hessian))

        yield Check(f"path and adapted models, 3 of 6 sites, weight decay, alpha {alpha:g}", walks, 1e-9)
    yield averages(lambda method: narrow(method, kind)(alpha=1e-15), spatial(10, 3), "alpha near 0 is FedAvg", 1e-10)


CHECKS: dict[str, Callable[[], Checks]] = {
    "pfedme": of_pfedme,
    "apfl": of_apfl,
    "perfedavg": of_perfedavg,
    "perfedavghf": of_perfedavghf,
}
