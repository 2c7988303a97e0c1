"""What each paper's algorithm does to quadratics, in closed form and without the engine's code.

K local steps of SGD with momentum rho on a quadratic are a power of a 3 x 3 matrix for every eigenvalue, so a round is
a linear map of the model and of the algorithm's state. Paths are [T + 1, D].
"""

from collections.abc import Callable

import numpy as np

from sim.verify.quadratic import Array
from sim.verify.trial import Tick, Trial


def response(curvature: Array, steps: int, lr: float, momentum: float) -> Array:
    """Q such that `steps` local steps on a quadratic with this curvature move by -Q times the first gradient; [D, D].

    Along an eigenvector, d the way so far and v the velocity: v <- rho v + (1 + lambda d), d <- d - lr v.
    Without momentum Q = (1 - (1 - lr lambda)^K) / lambda.
    """
    eigenvalues, vectors = np.linalg.eigh(curvature)
    zero, one = np.zeros_like(eigenvalues), np.ones_like(eigenvalues)
    step = np.array(
        [
            [one - lr * eigenvalues, -lr * momentum * one, -lr * one],  # d
            [eigenvalues, momentum * one, one],  # v
            [zero, zero, one],
        ]
    ).transpose(2, 0, 1)
    way = np.linalg.matrix_power(step, steps)[:, 0, 2]
    return np.asarray(vectors * -way @ vectors.T)


def size(steps: int, momentum: float) -> float:
    """|a_i|_1 of Wang et al. 2020, section 4: the sum over steps j of the weight of gradient j in the total."""
    return float(sum((1 - momentum ** (steps - j)) / (1 - momentum) for j in range(steps)))


def sizes(trial: Trial, tick: Tick) -> Array:
    """|a_i|_1 of the sites of a round, [M]."""
    return np.array([size(trial.steps[site], trial.training.momentum) for site in tick.sites])


def moves(trial: Trial, tick: Tick, x: Array, drift: Array | None = None, pull: float = 0.0) -> Array:
    """Delta of the sites of a round on f_i + <drift_i, w> + pull/2 |w - x|^2; x [D], drift [S, D] -> [M, D]."""
    decay, here = trial.training.weight_decay, []
    for site in tick.sites:
        first = trial.problem.gradient(site, x) + decay * x + (0.0 if drift is None else drift[site])
        hessian = trial.problem.curvature[site] + (decay + pull) * np.eye(len(x))
        here.append(-response(hessian, trial.steps[site], tick.lr, trial.training.momentum) @ first)
    return np.stack(here)


def fedprox(mu: float) -> Callable[[Trial], Array]:
    """Li et al. 2020, Algorithm 2."""

    def closed(trial: Trial) -> Array:
        x, path = trial.start, [trial.start]
        for tick in trial.ticks():
            x = x + tick.p @ moves(trial, tick, x, pull=mu)
            path.append(x)
        return np.stack(path)

    return closed


def fedavg(trial: Trial) -> Array:
    """McMahan et al. 2017, Algorithm 1."""
    return fedprox(0.0)(trial)


def fednova(trial: Trial) -> Array:
    """Wang et al. 2020, equation 7 with tau_eff = sum p_i |a_i|_1."""
    x, path = trial.start, [trial.start]
    for tick in trial.ticks():
        a = sizes(trial, tick)
        x = x + (tick.p @ a) * (tick.p @ (moves(trial, tick, x) / a[:, None]))
        path.append(x)
    return np.stack(path)


def scaffold_by_gradients(trial: Trial) -> Array:
    """Karimireddy et al. 2020, Algorithm 1, option I."""
    return scaffold(trial, full=True)


def scaffold(trial: Trial, full: bool = False) -> Array:
    """Karimireddy et al. 2020, Algorithm 1, option II, K_i replaced by |a_i|_1 (the same without momentum).

    full: option I, variates are gradients at the server's model.
    """
    x, path = trial.start, [trial.start]
    c, c_i = np.zeros_like(x), np.zeros_like(trial.problem.centre)
    for tick in trial.ticks():
        delta = moves(trial, tick, x, drift=c - c_i)
        new = c_i[tick.sites] - c - delta / (tick.lr * sizes(trial, tick)[:, None])  # line 12
        if full:
            decay = trial.training.weight_decay * x
            new = np.stack([trial.problem.gradient(site, x) + decay for site in tick.sites])
        change = new - c_i[tick.sites]
        c_i[tick.sites] = new
        x, c = x + tick.p @ delta, c + tick.share * (tick.p @ change)  # lines 16 and 17
        path.append(x)
    return np.stack(path)


def feddyn(alpha: float) -> Callable[[Trial], Array]:
    """Acar et al. 2021, Algorithm 1."""

    def closed(trial: Trial) -> Array:
        x, path = trial.start, [trial.start]
        h, h_i = np.zeros_like(x), np.zeros_like(trial.problem.centre)
        for tick in trial.ticks():
            delta = moves(trial, tick, x, drift=-h_i, pull=alpha)
            h_i[tick.sites] -= alpha * delta  # line 8
            h = h - alpha * tick.share * (tick.p @ delta)  # line 11
            x = x + tick.p @ delta - h / alpha  # line 12: mean of the sites' models - h / alpha
            path.append(x)
        return np.stack(path)

    return closed


def losses(trial: Trial, x: Array) -> Array:
    """f_i(x) of every site; [S]."""
    return np.array(
        [0.5 * (x - b) @ a @ (x - b) for a, b in zip(trial.problem.curvature, trial.problem.centre, strict=True)]
    )


def fedsam(rho: float) -> Callable[[Trial], Array]:
    """Qu et al. 2022, Algorithm 1; no momentum."""

    def closed(trial: Trial) -> Array:
        x, path, decay = trial.start, [trial.start], trial.training.weight_decay
        for tick in trial.ticks():
            deltas = []
            for site in tick.sites:
                w = x
                for _ in range(trial.steps[site]):
                    g = trial.problem.gradient(site, w) + decay * w
                    there = w + rho * g / np.linalg.norm(g)
                    w = w - tick.lr * (trial.problem.gradient(site, there) + decay * there)
                deltas.append(w - x)
            x = x + tick.p @ np.stack(deltas)
            path.append(x)
        return np.stack(path)

    return closed


def qfedavg(q: float) -> Callable[[Trial], Array]:
    """Li et al. 2020, Algorithm 2, sums weighted by p."""

    def closed(trial: Trial) -> Array:
        x, path = trial.start, [trial.start]
        for tick in trial.ticks():
            f, step = losses(trial, x)[tick.sites] + 1e-10, -moves(trial, tick, x) / tick.lr
            h = q * f ** (q - 1) * (step**2).sum(1) + f**q / tick.lr
            x = x - (tick.p * f**q) @ step / (tick.p @ h)
            path.append(x)
        return np.stack(path)

    return closed


def descent(trial: Trial) -> Array:
    """Gradient descent on the pooled objective, one step a round."""
    x, path = trial.start, [trial.start]
    for tick in trial.ticks():
        x = x - tick.lr * sum(p * trial.problem.gradient(site, x) for site, p in enumerate(trial.weights))
        path.append(x)
    return np.stack(path)
