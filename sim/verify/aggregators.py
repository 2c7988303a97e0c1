"""What is proved of aggregators, by their names in the table. The sites run FedAvg. More in `aggregators_robust`."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from sim.methods.aggregators.base import Aggregator, Combined
from sim.methods.aggregators.krum import Krum
from sim.methods.contract import Message, Weighting
from sim.methods.roles import Roles
from sim.random import stream
from sim.verify.check import Check
from sim.verify.paths import fedavg, moves
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Aggregator]]


def uploads(sites: int, seed: int = 0) -> Array:
    """Vectors of honest sites, [M, 6]."""
    return stream(seed, "uploads").normal(size=(sites, 6))


def combined(entry: Aggregator, sent: Array, p: Array | None = None) -> Array:
    """Aggregate of one vector per site."""
    weights = torch.full((len(sent),), 1 / len(sent), dtype=torch.float64) if p is None else torch.from_numpy(p)
    return made(entry, {"delta": torch.from_numpy(sent)}, weights).mean["delta"].numpy()


def made(entry: Aggregator, sent: Message, p: Tensor) -> Combined:
    """What a rule makes of the first update: nothing kept, uploads drawn in their order."""
    kept = {f"{name}.{part}": torch.zeros(sent[name].shape[1]).double() for name in sent for part in entry.server_state}

    def draw(name: str, round: int | None = None) -> Tensor:
        return torch.arange(len(p)).double()[:, None]

    return entry.aggregate(sent, p, kept, draw)


def path(rule: Callable[[Array, Array], Array]) -> Callable[[Trial], Array]:
    """FedAvg with another aggregate of the deltas [M, D] and weights [M]."""

    def closed(trial: Trial) -> Array:
        x, found = trial.start, [trial.start]
        for tick in trial.ticks():
            x = x + rule(moves(trial, tick, x), tick.p)
            found.append(x)
        return np.stack(found)

    return closed


def follows(
    make: Callable[[type[Aggregator]], Aggregator], trial: Trial, closed: Array, words: str
) -> Check[Aggregator]:
    """The whole path is the closed form's."""
    return Check(words, lambda entry: gap(trial.path(Roles(aggregator=make(entry))), closed))


def of_mean() -> Checks:
    """The weighted mean, from chunks' sums and from whole uploads."""
    for weighting in Weighting:
        trial = spatial(20, 4, weighting)
        yield follows(lambda entry: entry(), trial, fedavg(trial), f"FedAvg's path, weighting {weighting.value}")
    sent, p = uploads(5), np.array([0.1, 0.3, 0.2, 0.25, 0.15])
    yield Check("is sum p u", lambda entry: gap(combined(entry(), sent, p), p @ sent), 1e-15)


def of_median() -> Checks:
    """The coordinate-wise median."""
    for sites in (5, 6):

        def as_numpy(entry: type[Aggregator], sites: int = sites) -> float:
            return gap(combined(entry(), uploads(sites)), np.median(uploads(sites), axis=0))

        yield Check(f"equal weights are numpy's median, {sites} sites", as_numpy, 1e-15)
    copies = np.array([3, 1, 2, 5, 4])
    repeated = np.repeat(uploads(5), copies, axis=0)
    yield Check(
        "a weight is so many copies",
        lambda entry: gap(combined(entry(), uploads(5), copies / copies.sum()), np.median(repeated, axis=0)),
        1e-15,
    )

    def beyond(entry: type[Aggregator]) -> float:
        worst = 0.0
        for bad in (1, 2, 3):
            sent = uploads(7, bad)
            sent[:bad] = 1e9 * (-1) ** bad
            honest, found = sent[bad:], combined(entry(), sent)
            worst = max(worst, float(np.maximum(found - honest.max(0), honest.min(0) - found).max()))
        return max(worst, 0.0)

    yield Check("fewer than half attackers do not move it beyond the honest values", beyond, 0.0)
    trial = spatial(20, 0, Weighting.sites)
    yield follows(
        lambda entry: entry(), trial, path(lambda u, p: np.median(u, axis=0))(trial), "path, all sites, weighting sites"
    )


def krum(sent: Array, f: int) -> int:
    """Blanchard et al. 2017 by enumeration."""
    distance = ((sent[:, None] - sent[None]) ** 2).sum(-1)
    scores = [np.sort(np.delete(row, at))[: len(sent) - f - 2].sum() for at, row in enumerate(distance)]
    return int(np.argmin(scores))


def of_krum() -> Checks:
    """Krum."""

    def input_of(entry: type[Aggregator]) -> float:
        worst = 0.0
        for seed in range(20):
            sent = uploads(7, seed)
            sent[:2] += 50
            worst = max(worst, gap(combined(narrow(entry, Krum)(f=2), sent), sent[krum(sent, 2)]))
        return worst

    yield Check("is the upload of least score, by enumeration", input_of, 0.0)
    trial = spatial(20, 0, Weighting.sites)
    closed = path(lambda u, p: u[krum(u, 1)])(trial)
    yield follows(lambda entry: narrow(entry, Krum)(f=1), trial, closed, "path, all sites, f 1")

    def whole(entry: type[Aggregator]) -> float:
        one, other = torch.from_numpy(uploads(5)), torch.from_numpy(uploads(5, 9))
        sent = {"a": one, "b": other, "c": torch.arange(5.0)}
        found = made(narrow(entry, Krum)(f=1), sent, torch.ones(5) / 5).mean
        at = krum(np.concatenate([one, other], axis=1), 1)
        parts = (found["a"] - one[at], found["b"] - other[at], found["c"] - at)
        return max(float(part.abs().max()) for part in parts)

    yield Check("chooses one site for the whole message", whole, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"mean": of_mean, "median": of_median, "krum": of_krum}
