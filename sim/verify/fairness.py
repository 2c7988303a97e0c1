"""Certificates of algorithms that weight sites by their losses: paths in numpy, and the optima of their objectives."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sim.methods.algorithms.afl import AFL
from sim.methods.algorithms.feddgga import FedDGGA
from sim.methods.algorithms.fedmgda import FedMGDA
from sim.methods.algorithms.lossparity import LossParity
from sim.methods.algorithms.term import TERM
from sim.methods.contract import Weighting
from sim.verify.paths import losses, moves
from sim.verify.properties import Build, Checks, Closed, averages, ends, follows, scalar, spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Tick, Trial, narrow


def stepped(weigh: Callable[[Trial, Tick, Array, Array], Array]) -> Closed:
    """Path of `x <- x + sum a_i Delta_i`, a from the trial, the round, x and Delta [M, D]."""

    def closed(trial: Trial) -> Array:
        x, path = trial.start, [trial.start]
        for tick in trial.ticks():
            delta = moves(trial, tick, x)
            x = x + weigh(trial, tick, x, delta) @ delta
            path.append(x)
        return np.stack(path)

    return closed


def onto_simplex(point: Array) -> Array:
    """The nearest point of the simplex by bisection: `max(point - tau, 0)` with sum 1."""
    low, high = float(point.min()) - 1.0, float(point.max())
    for _ in range(100):
        tau = (low + high) / 2
        low, high = (tau, high) if np.maximum(point - tau, 0).sum() > 1 else (low, tau)
    return np.asarray(np.maximum(point - low, 0))


def afl(gamma: float, average: bool) -> Closed:
    """Mohri et al. 2019, Algorithm 1: both steps are taken from the same x and lambda."""

    def closed(trial: Trial) -> Array:
        x, path, lam = trial.start, [trial.start], trial.weights
        for tick in trial.ticks():
            x, lam = x + lam @ moves(trial, tick, x), onto_simplex(lam + gamma * losses(trial, x))
            path.append(x)
        models = np.stack(path)
        means = np.cumsum(models[1:], axis=0) / np.arange(1, len(models))[:, None]
        return np.concatenate([models[:1], means]) if average else models

    return closed


def term(t: float) -> Closed:
    """Li et al. 2021, over sites."""

    def weigh(trial: Trial, tick: Tick, x: Array, delta: Array) -> Array:
        tilted = tick.p * np.exp(t * losses(trial, x)[tick.sites])
        return np.asarray(tilted / tilted.sum())

    return stepped(weigh)


def shortest(u: Array, p: Array, epsilon: float) -> Array:
    """lambda of the shortest `sum lambda_i u_i` by trying which bounds hold; [M, D], [M] -> [M].

    For every choice of entries at a bound the others follow from a linear system; the best that is allowed is taken.
    """
    gram, best = u @ u.T, p
    low, high = np.maximum(p - epsilon, 0), np.minimum(p + epsilon, 1)
    for choice in itertools.product((low, high, None), repeat=len(p)):
        lam = np.array([0.0 if part is None else part[at] for at, part in enumerate(choice)])
        free = np.array([part is None for part in choice])
        if free.any():
            system = np.block([[gram[np.ix_(free, free)], np.ones((free.sum(), 1))], [np.ones(free.sum()), 0.0]])
            lam[free] = np.linalg.lstsq(system, np.append(-gram[free] @ lam, 1 - lam.sum()), rcond=None)[0][:-1]
        allowed = abs(lam.sum() - 1) < 1e-12 and (lam > low - 1e-12).all() and (lam < high + 1e-12).all()
        if allowed and lam @ gram @ lam < best @ gram @ best:
            best = lam
    return best


def fedmgda(epsilon: float) -> Closed:
    """Hu et al. 2022, FedMGDA+ with eta = 1."""

    def weigh(trial: Trial, tick: Tick, x: Array, delta: Array) -> Array:
        length = np.linalg.norm(delta, axis=1)
        return np.asarray(shortest(delta / length[:, None], tick.p, epsilon) / length)

    return stepped(weigh)


def feddgga(d: float, horizon: int) -> Closed:
    """Zhang et al. 2023: weights follow the gaps of the model that the last round made."""

    def closed(trial: Trial) -> Array:
        x, path, a, trained = trial.start, [trial.start], trial.weights, np.zeros(0)
        for number, tick in enumerate(trial.ticks()):
            if number:
                gap = losses(trial, x) - trained
                gap = gap - gap.mean()
                a = np.clip(a + d * max(1 - number / horizon, 0) * gap / np.abs(gap).max(), 0, 1)
                a = a / a.sum()
            delta = moves(trial, tick, x)
            trained = np.array([losses(trial, x + delta[site])[site] for site in tick.sites])
            x = x + a @ delta
            path.append(x)
        return np.stack(path)

    return closed


def lossparity(lam: float) -> Closed:
    """Descent on the mean and variance of the losses, weights cut at 0."""

    def weigh(trial: Trial, tick: Tick, x: Array, delta: Array) -> Array:
        loss = losses(trial, x)[tick.sites]
        a = np.maximum(tick.p + 2 * lam * tick.p * (loss - tick.p @ loss), 0)
        return np.asarray(a / a.sum())

    return stepped(weigh)


def lowest(aim: Callable[[Array, Array], float]) -> Closed:
    """Where a function of p and the sites' losses is least on the two-site quadratic, by ternary search; [1]."""

    def closed(trial: Trial) -> Array:
        low, high = -1.0, 2.0
        for _ in range(200):
            left, right = low + (high - low) / 3, high - (high - low) / 3
            values = [aim(trial.weights, losses(trial, np.array([at]))) for at in (left, right)]
            low, high = (low, right) if values[0] < values[1] else (left, high)
        return np.array([(low + high) / 2])

    return closed


def number(value: float) -> Closed:
    """A fixed point computed by hand, [1]."""
    return lambda trial: np.array([value])


def twice(build: Build, closed: Closed, words: str, sites: int = 3, rounds: int = 15, error: float = 1e-10) -> Checks:
    """The path for each weighting, with unequal steps and momentum; how many of six sites train, 0 = all."""
    for weighting in Weighting:
        trial = spatial(rounds, sites, weighting, momentum=0.3)
        yield follows(build, trial, closed, f"path, {words}, weighting {weighting.value}", error)


def of_afl() -> Checks:
    """AFL: both paths, and the minimax point 1 = sum sqrt(a) b / sum sqrt(a) of the two sites."""

    def build(gamma: float, average: bool) -> Build:
        return lambda method: narrow(method, AFL)(gamma=gamma, average=average)

    for average, judged in ((True, "mean of all models"), (False, "last model")):
        yield from twice(build(0.1, average), afl(0.1, average), f"gamma 0.1, {judged}", sites=0)
    yield ends(build(0.02, False), scalar((1, 1), 0.1, 300), number(1.0), "minimax point 1, last model")
    plain = build(0.0, False)
    yield averages(plain, spatial(15, momentum=0.6), "gamma 0 and the last model is FedAvg", 1e-12)


def of_term() -> Checks:
    """TERM: paths, the minima of the tilted objective, and FedAvg at t = 0."""

    def build(t: float) -> Build:
        return lambda method: narrow(method, TERM)(t=t)

    yield from twice(build(0.7), term(0.7), "t 0.7")
    for t, lr, point in ((1.0, 0.05, 1.093693), (10.0, 0.01, 1.011301)):
        trial = scalar((1, 1), lr, 200)
        yield ends(build(t), trial, number(point), f"minimum of the tilted objective, t {t:g}", 2e-6)
    far = replace(scalar((1, 1), 1e-5, 3), first=(30.0,))
    yield ends(build(100.0), far, worst_alone, "t 100 where exp(t F) overflows: the worse site alone")
    yield averages(build(0.0), spatial(15, 3, momentum=0.6), "t 0 is FedAvg, bit for bit", 0.0)


def worst_alone(trial: Trial) -> Array:
    """The limit of descent on only the site with the largest loss."""
    x = trial.start
    for tick in trial.ticks():
        worst = int(losses(trial, x).argmax())
        x = x + moves(trial, tick, x)[worst]
    return x


def of_fedmgda() -> Checks:
    """FedMGDA+: the quadratic program by enumeration, and normalised FedAvg at epsilon 0."""

    def build(epsilon: float) -> Build:
        return lambda method: narrow(method, FedMGDA)(epsilon=epsilon)

    for epsilon in (0.1, 1.0):
        yield from twice(build(epsilon), fedmgda(epsilon), f"epsilon {epsilon:g}", 4, 4, 1e-9)

    def normalised(trial: Trial, tick: Tick, x: Array, delta: Array) -> Array:
        return np.asarray(tick.p / np.sqrt((delta**2).sum(1)))

    yield from twice(build(0.0), stepped(normalised), "epsilon 0: mean of normalised updates")


def of_feddgga() -> Checks:
    """FedDG-GA: its path past the round where weights come to rest, and FedAvg at d = 0."""

    def build(d: float) -> Build:
        return lambda method: narrow(method, FedDGGA)(d=d, horizon=12)

    for d in (0.05, 0.5):
        yield from twice(build(d), feddgga(d, 12), f"d {d:g}", sites=0)
    yield averages(build(0.0), spatial(15, momentum=0.6), "d 0 is FedAvg", 1e-12)


def of_lossparity() -> Checks:
    """Loss parity: path, the minimum of mean and variance, and FedAvg at lam = 0."""

    def build(lam: float) -> Build:
        return lambda method: narrow(method, LossParity)(lam=lam)

    for lam in (0.3, 20.0):
        yield from twice(build(lam), lossparity(lam), f"lam {lam:g}")

    def aim(lam: float) -> Closed:
        return lowest(lambda p, loss: float(p @ loss + lam * p @ (loss - p @ loss) ** 2))

    for lam in (0.05, 0.5):
        words = f"minimum of mean + {lam:g} variance"
        yield ends(build(lam), scalar((1, 1), 0.05, 120), aim(lam), words, 1e-7)
    yield averages(build(0.0), spatial(15, 3, momentum=0.6), "lam 0 is FedAvg, bit for bit", 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {
    "afl": of_afl,
    "term": of_term,
    "fedmgda": of_fedmgda,
    "feddgga": of_feddgga,
    "lossparity": of_lossparity,
}
