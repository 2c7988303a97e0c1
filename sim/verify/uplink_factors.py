"""What is proved of updates that travel as factors of low rank."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from sim.checks import Refused
from sim.engine.uplink import Draws
from sim.methods.roles import Roles
from sim.methods.uplink.base import Transform
from sim.methods.uplink.powersgd import PowerSGD
from sim.random import stream
from sim.verify.check import Check
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow
from sim.verify.uplink import Checks, at
from sim.verify.uplink_coded import constant

HIDDEN, D = 4, 5
SHAPES = ((8, 6), (8,), (2, 8))  # of which the first alone is larger than its factors of rank 2: P = 72
SIZE = 72


def network() -> nn.Module:
    """A linear map in two layers."""
    return nn.Sequential(nn.Linear(D, HIDDEN, bias=False), nn.Linear(HIDDEN, 1, bias=False))


def two_layers() -> Trial:
    """Three of six sites in a round, unequal steps, a falling rate, chunks of two; P = 24."""
    trial = spatial(12, 3)
    first = tuple(np.linspace(-0.5, 0.9, HIDDEN * D + HIDDEN))
    training = replace(trial.training, lr=0.02, decay=0.98, chunk=2)
    return replace(trial, module=network, first=first, training=training)


def moved(trial: Trial, site: int, x: Array, lr: float) -> Array:
    """Change of a site's model after its steps; [P] -> [P]."""
    w = x.copy()
    for _ in range(trial.steps[site]):
        a, b = w[: HIDDEN * D].reshape(HIDDEN, D), w[HIDDEN * D :]
        g = trial.problem.gradient(site, a.T @ b)
        w = w - lr * np.concatenate([np.outer(b, g).ravel(), a @ g])
    return w - x


def factored(trial: Trial) -> Array:
    """FedAvg of rank-1 factors of the sites' first layers, by the paper's Algorithm 1 for one worker; [T + 1, P]."""
    x, path, keys = trial.start, [trial.start], trial.problem.federation.keys
    error, right = np.zeros((len(trial.steps), HIDDEN, D)), np.zeros((len(trial.steps), D))
    for number, tick in enumerate(trial.ticks(), 1):
        like = torch.zeros(len(tick.sites), len(x), dtype=torch.float64)
        start = Draws(trial.seed, number, keys[tick.sites]).of("uplink.0.delta.", like)("start").numpy() - 0.5
        step = np.zeros_like(x)
        for place, site in enumerate(tick.sites):
            change = moved(trial, site, x, tick.lr)
            whole = change[: HIDDEN * D].reshape(HIDDEN, D) + error[site]
            left = whole @ (right[site] if right[site].any() else start[place, :D])
            left = left / np.linalg.norm(left)
            right[site] = whole.T @ left
            error[site] = whole - np.outer(left, right[site])
            change[: HIDDEN * D] = np.outer(left, right[site]).ravel()
            step += tick.p[place] * change
        x = x + step
        path.append(x)
    return np.stack(path)


def low_rank(seed: int, rank: int, sites: int = 3) -> torch.Tensor:
    """Vectors of `SHAPES` whose first matrix has this rank; [sites, 72]."""
    rng = stream(seed, "low rank")
    matrix = rng.normal(size=(sites, 8, rank)) @ rng.normal(size=(sites, rank, 6))
    return torch.from_numpy(np.concatenate([matrix.reshape(sites, -1), rng.normal(size=(sites, SIZE - 48))], axis=1))


def sent_in_turn(made: Transform, vectors: list[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What is sent of each, and the error that is left, round by round."""
    state = {"error": torch.zeros_like(vectors[0]), "right": torch.zeros_like(vectors[0])}
    done = []
    for number, u in enumerate(vectors):
        chance = torch.from_numpy(stream(number, "start").uniform(size=tuple(u.shape)))
        vector, state, _ = made.encode(u, at(len(u), **state), constant(chance))
        done.append((vector, state["error"]))
    return done


def of_powersgd() -> Checks:
    """Factors of low rank."""

    def made(entry: type[Transform], feedback: bool = True) -> Transform:
        return narrow(entry, PowerSGD)(feedback=feedback).over(SHAPES)

    def walks(entry: type[Transform]) -> float:
        trial = two_layers()
        return gap(trial.path(Roles(uplink=(narrow(entry, PowerSGD)(rank=1),))), factored(trial))

    yield Check("path of a network of two layers, rank 1", walks)

    def exact(entry: type[Transform]) -> float:
        """After a round without any change, too, of which a kept Q of zero would remember nothing."""
        rounds = [low_rank(0, 2), 0 * low_rank(1, 2), low_rank(2, 2), low_rank(3, 1)]
        sent = sent_in_turn(made(entry), rounds)
        return max(float((vector - u).abs().max()) for (vector, _), u in zip(sent, rounds, strict=True))

    yield Check("an update of rank 2 or less arrives as it was, after one of zero too", exact, 1e-9)

    def conserves(entry: type[Transform]) -> float:
        rounds, before, worst = [low_rank(seed, 6) for seed in range(5)], torch.zeros(3, SIZE), 0.0
        for (vector, error), u in zip(sent_in_turn(made(entry), rounds), rounds, strict=True):
            ranks = torch.linalg.matrix_rank(vector[:, :48].reshape(3, 8, 6), rtol=1e-9)
            worst = max(worst, float((vector + error - u - before).abs().max()), float((ranks - 2).abs().max()))
            before = error
        return worst

    yield Check("sent + error = input, and what is sent has rank 2", conserves, 1e-13)

    def best(entry: type[Transform]) -> float:
        """Eckart and Young: the best is the first two of the singular values, here 5, 4, 1, 0.8, 0.5, 0.2."""
        rng = stream(0, "singular")
        u, v = np.linalg.qr(rng.normal(size=(8, 6)))[0], np.linalg.qr(rng.normal(size=(6, 6)))[0]
        values = np.array([5.0, 4.0, 1.0, 0.8, 0.5, 0.2])
        matrix = np.concatenate([((u * values) @ v.T).ravel(), np.zeros(SIZE - 48)])
        *_, (vector, _) = sent_in_turn(made(entry, feedback=False), [torch.from_numpy(matrix)[None]] * 20)
        return gap(vector[0, :48].numpy().reshape(8, 6), (u[:, :2] * values[:2]) @ v[:, :2].T)

    yield Check("the same matrix again and again is sent at its best: the power method goes on", best, 1e-9)

    def travels(entry: type[Transform]) -> float:
        profile = two_layers().plan(Roles(uplink=(narrow(entry, PowerSGD)(rank=1),))).profile
        return abs(profile.bytes_up - 8 * (HIDDEN + D + HIDDEN)) + abs(profile.bytes_down - 8 * (HIDDEN * D + HIDDEN))

    yield Check("m + n numbers of the matrix travel up, and the second layer as it is", travels, 0.0)

    def misfit(entry: type[Transform]) -> float:
        try:
            spatial(1).plan(Roles(uplink=(narrow(entry, PowerSGD)(),)))
        except Refused:
            return 0.0
        return 1.0

    yield Check("a linear model, whose factors are no smaller, is refused", misfit, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"powersgd": of_powersgd}
