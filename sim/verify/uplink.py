"""What is proved of every uplink transform, by its name in the table. The sites run FedAvg unless said otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from sim.methods.contract import Local, example
from sim.methods.roles import Roles
from sim.methods.uplink.base import Transform
from sim.methods.uplink.clip import Clip
from sim.methods.uplink.topk import TopK
from sim.random import stream
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Transform]]
Make = Callable[[type[Transform]], Transform]


def neutral(make: Make, words: str) -> Check[Transform]:
    """A setting that changes nothing: FedAvg bit for bit, with momentum and sampling."""
    trial = spatial(12, 3, momentum=0.6)
    return Check(words, lambda entry: gap(trial.path(Roles(uplink=(make(entry),))), trial.path(Roles())), 0.0)


def follows(make: Make, closed: Callable[[Trial], Array], words: str) -> Check[Transform]:
    """The whole path is the closed form's, on chunks of two sites."""
    trial = spatial(25, 3)
    trial = replace(trial, training=replace(trial.training, chunk=2))
    return Check(words, lambda entry: gap(trial.path(Roles(uplink=(make(entry),))), closed(trial)))


def clipped(bound: float, quantile: float, rate: float) -> Callable[[Trial], Array]:
    """Clipped deltas; the bound follows Andrew et al. 2021 where a quantile is given."""

    def closed(trial: Trial) -> Array:
        x, path, now = trial.start, [trial.start], bound
        for tick in trial.ticks():
            delta = moves(trial, tick, x)
            norm = np.linalg.norm(delta, axis=1)
            x = x + tick.p @ (delta * np.minimum(1, now / norm)[:, None])
            if quantile:
                now *= np.exp(-rate * (np.mean(norm <= now) - quantile))
            path.append(x)
        return np.stack(path)

    return closed


def of_clip() -> Checks:
    """Clip."""
    yield neutral(lambda entry: narrow(entry, Clip)(bound=1e30), "an endless bound is FedAvg, bit for bit")
    yield follows(lambda entry: narrow(entry, Clip)(bound=0.3), clipped(0.3, 0, 0), "path, bound 0.3")
    adaptive = clipped(1.0, 0.6, 0.3)
    yield follows(
        lambda entry: narrow(entry, Clip)(bound=1.0, quantile=0.6, rate=0.3),
        adaptive,
        "path, the bound follows a quantile",
    )

    def excess(entry: type[Transform]) -> float:
        vectors = torch.from_numpy(stream(0, "clip").normal(size=(50, 9)) * 5)
        sent = narrow(entry, Clip)(bound=2.0).encode(vectors, at(0, log=torch.zeros(())), blank).vector
        return max(float(sent.norm(dim=1).max()) - 2.0, 0.0)

    yield Check("no vector leaves a site longer than the bound", excess, 1e-12)


def largest(values: Array, count: int) -> Array:
    """A vector with all but its `count` largest entries set to zero."""
    keep = np.argsort(-np.abs(values), kind="stable")[:count]
    return np.where(np.isin(np.arange(len(values)), keep), values, 0.0)


def sparse(count: int, feedback: bool) -> Callable[[Trial], Array]:
    """Stich et al. 2018 for FedAvg."""

    def closed(trial: Trial) -> Array:
        x, path, error = trial.start, [trial.start], np.zeros_like(trial.problem.centre)
        for tick in trial.ticks():
            whole = moves(trial, tick, x) + error[tick.sites]
            sent = np.stack([largest(row, count) for row in whole])
            error[tick.sites] = whole - sent if feedback else 0.0
            x = x + tick.p @ sent
            path.append(x)
        return np.stack(path)

    return closed


def of_topk() -> Checks:
    """Top-k."""
    yield neutral(lambda entry: narrow(entry, TopK)(ratio=1.0), "all entries are FedAvg, bit for bit")
    for feedback in (True, False):
        words = f"path, two entries of five{'' if feedback else ', without feedback'}"

        def make(entry: type[Transform], feedback: bool = feedback) -> Transform:
            return narrow(entry, TopK)(ratio=0.3, feedback=feedback)

        yield follows(make, sparse(2, feedback), words)

    def lost(entry: type[Transform]) -> float:
        made, error = narrow(entry, TopK)(ratio=0.25), torch.zeros(4, 12, dtype=torch.float64)
        worst = 0.0
        for number in range(5):
            u = torch.from_numpy(stream(number, "topk").normal(size=(4, 12)))
            done = made.encode(u, at(4, error=error), blank)
            worst = max(worst, float((done.vector + done.state["error"] - u - error).abs().max()))
            worst = max(worst, float(((done.vector != 0).sum(1) - 3).abs().max()))
            error = done.state["error"]
        return worst

    yield Check("sent + error = input, and three of twelve are sent", lost, 1e-15)


def at(sites: int, **kept: torch.Tensor) -> Local:
    """What a transform knows at the sites."""
    return replace(example(max(sites, 1), 1), site=kept, server=kept)


def blank(name: str) -> torch.Tensor:
    """Stands where no random number is needed."""
    raise RuntimeError(f"draw {name!r} was not expected")


CHECKS: dict[str, Callable[[], Checks]] = {"clip": of_clip, "topk": of_topk}
