"""What is proved of every uplink transform, by its name in the table. The sites run FedAvg unless said otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from sim.methods.contract import Draw, Local, example
from sim.methods.roles import Roles
from sim.methods.uplink.base import Transform
from sim.methods.uplink.clip import AdaptiveClip, Clip
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


def follows(make: Make, closed: Callable[[Trial], Array], words: str, sites: int = 3) -> Check[Transform]:
    """The whole path is the closed form's, on chunks of two sites; so many of six sites in a round, 0 = all."""
    trial = spatial(25, sites)
    trial = replace(trial, training=replace(trial.training, chunk=2))
    return Check(words, lambda entry: gap(trial.path(Roles(uplink=(make(entry),))), closed(trial)))


def clipped(bound: float, quantile: float = 0.0, rate: float = 0.0) -> Callable[[Trial], Array]:
    """Clipped deltas; the bound follows Andrew et al. 2021 where a rate is given."""

    def closed(trial: Trial) -> Array:
        x, path, now = trial.start, [trial.start], bound
        for tick in trial.ticks():
            delta = moves(trial, tick, x)
            norm = np.linalg.norm(delta, axis=1)
            x = x + tick.p @ (delta * np.minimum(1, now / norm)[:, None])
            now *= np.exp(-rate * (np.mean(norm <= now) - quantile))
            path.append(x)
        return np.stack(path)

    return closed


def of_clip() -> Checks:
    """Clip."""
    yield neutral(lambda entry: narrow(entry, Clip)(bound=1e30), "an endless bound is FedAvg, bit for bit")
    yield follows(lambda entry: narrow(entry, Clip)(bound=0.3), clipped(0.3), "path, bound 0.3")

    def excess(entry: type[Transform]) -> float:
        vectors = torch.from_numpy(stream(0, "clip").normal(size=(50, 9)) * 5)
        sent = narrow(entry, Clip)(bound=2.0).encode(vectors, at(0), blank).vector
        return max(float(sent.norm(dim=1).max()) - 2.0, 0.0)

    yield Check("no vector leaves a site longer than the bound", excess, 1e-12)
    yield travels(lambda entry: narrow(entry, Clip)(), (0, 0), "nothing travels beside the vectors")


def of_adaptive() -> Checks:
    """Clip with a bound that follows a quantile."""
    yield neutral(lambda entry: narrow(entry, AdaptiveClip)(bound=1e30), "an endless bound is FedAvg, bit for bit")
    yield follows(
        lambda entry: narrow(entry, AdaptiveClip)(bound=1.0, quantile=0.6, rate=0.3),
        clipped(1.0, 0.6, 0.3),
        "path, the bound follows a quantile",
    )
    yield travels(lambda entry: narrow(entry, AdaptiveClip)(), (8, 1), "the bound travels down and one bit up")

    def spread(entry: type[Transform]) -> float:
        made = narrow(entry, AdaptiveClip)(quantile=0.5, rate=1.0, noise=3.0)
        sent, state = {"within": torch.tensor([1.0, 0.0, 1.0, 1.0])}, {"log": torch.zeros(())}
        rng = stream(0, "bits")
        logs = [float(made.learn(sent, state, of_server(rng))["log"]) for _ in range(4000)]
        return abs(float(np.mean(logs)) + 0.25) + abs(float(np.std(logs)) - 0.75)

    yield Check("noise of deviation 3 on the sum of four bits moves the log of the bound by 3/4", spread, 0.04)


def of_server(rng: np.random.Generator) -> Draw:
    """Uniform numbers for a single value at the server."""
    return lambda name, round=None: torch.tensor(rng.random(), dtype=torch.float64)


def travels(make: Make, extra: tuple[int, int], words: str) -> Check[Transform]:
    """Bytes that a site downloads and uploads beyond those of FedAvg, in double precision."""

    def error(entry: type[Transform]) -> float:
        ours, plain = (Roles(uplink=uplink) for uplink in ((make(entry),), ()))
        down, up = ours.bytes_down(5, 8) - plain.bytes_down(5, 8), ours.bytes_up(5, 8) - plain.bytes_up(5, 8)
        return float(abs(down - extra[0]) + abs(up - extra[1]))

    return Check(words, error, 0.0)


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


def blank(name: str, round: int | None = None) -> torch.Tensor:
    """Placeholder where no random number is needed."""
    raise RuntimeError(f"draw {name!r} was not expected")


CHECKS: dict[str, Callable[[], Checks]] = {"clip": of_clip, "adaptiveclip": of_adaptive, "topk": of_topk}
