"""Certificates of algorithms that use patient groups, on a small logistic regression in numpy."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import Federation, from_arrays
from sim.federation.groups import Group
from sim.local.settings import Tier, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fairfed import FairFed
from sim.methods.algorithms.fedfb import FedFB
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.random import stream
from sim.tasks.classify import Classification
from sim.verify.check import Check
from sim.verify.properties import Build, Checks
from sim.verify.quadratic import Array
from sim.verify.trial import gap, narrow

LR, STEPS, ROUNDS, START = 0.4, 3, 8, (0.3, -0.2, 0.1)
TRAINING = Training(lr=LR, batch=0, steps=STEPS, chunk=2, tier=Tier.stacked)
Codes = NDArray[np.int8]


@functools.cache
def task() -> Classification:
    """Logistic regression on three features without intercept; one object, since gradients are traced once per task."""
    return Classification(nn.Linear(3, 1, bias=False, device="meta"))


@functools.cache
def four_sites() -> Federation:
    """Sites whose groups differ in size and outcome; the last has no event in group 0; some rows have no group."""
    rng, sites, codes = stream(0, "verify groups"), {}, []
    for number, (rows, share, slope) in enumerate(((40, 0.5, 2.0), (24, 0.2, -1.0), (30, 0.8, 0.5), (16, 0.6, -2.0))):
        x = rng.standard_normal((rows, 3))
        group = (rng.random(rows) < share).astype(np.int8)
        group[rng.random(rows) < 0.1] = -1
        odds = x @ np.array([1.0, -1.0, 0.5]) + slope * (group == 1) * x[:, 0] + 0.3
        label = rng.random(rows) < 1 / (1 + np.exp(-odds))
        if number == 3:
            label &= group != 0
        sites[f"site {number}"] = (x, {"label": label})
        codes.append(group)
    return replace(from_arrays(sites), groups={"arm": Group(np.concatenate(codes), ("no", "yes"))})


def plan(
    algorithm: Algorithm,
    weighting: Weighting = Weighting.patients,
    rounds: int = ROUNDS,
    training: Training = TRAINING,
) -> Simulation:
    """The engine's view of the four sites."""
    roles = Roles(algorithm, weighting=weighting)
    return Simulation(four_sites(), task(), roles, training, Evaluation(), rounds, seed=0)


def path(
    algorithm: Algorithm,
    weighting: Weighting = Weighting.patients,
    rounds: int = ROUNDS,
    training: Training = TRAINING,
) -> Array:
    """Server models from the engine; [T + 1, 3]."""
    start = torch.tensor(START, dtype=torch.float64)
    going = simulate(plan(algorithm, weighting, rounds, training), InProcess(), start)
    return np.stack([here.model.numpy() for here in going])


@dataclass(frozen=True)
class Hospital:
    """Rows of one site."""

    x: Array
    y: Array
    group: Codes

    def moved(self, w: Array, v: Array) -> Array:
        """Change of the model in the local steps on the mean of v times the logistic loss."""
        here = w
        for _ in range(STEPS):
            here = here - LR * self.x.T @ (v * (1 / (1 + np.exp(-self.x @ here)) - self.y)) / len(self.y)
        return here - w

    def loss(self, w: Array) -> Array:
        """Loss of every row."""
        return np.asarray(np.log1p(np.exp((1 - 2 * self.y) * (self.x @ w))))

    def events(self, group: int) -> NDArray[np.bool_]:
        """Rows of a group that have the event."""
        return np.asarray((self.y == 1) & (self.group == group))


def hospitals() -> list[Hospital]:
    """The rows of every site."""
    made, label = four_sites(), four_sites().y["label"].astype(np.float64)
    codes = made.groups["arm"].codes
    return [
        Hospital(made.x[low:high].astype(np.float64), label[low:high], codes[low:high])
        for low, high in made.bounds[:, :2]
    ]


def joined(sites: list[Hospital]) -> Hospital:
    """All rows in one place."""
    return Hospital(*(np.concatenate([getattr(one, name) for one in sites]) for name in ("x", "y", "group")))


def shares(sites: list[Hospital], weighting: Weighting) -> Array:
    """Weight of every site, sum 1."""
    rows = np.array([len(one.y) if weighting is Weighting.patients else 1.0 for one in sites])
    return np.asarray(rows / rows.sum())


def fairfed(beta: float, weighting: Weighting) -> Array:
    """Ezzeldin et al. 2023, Algorithm 1, on rows in place of counts."""

    def measured(one: Hospital, w: Array) -> tuple[float, float]:
        said = one.x @ w > 0
        rates = [said[one.events(group)].mean() if one.events(group).any() else np.nan for group in (0, 1)]
        return rates[0] - rates[1], float((said == one.y).mean())

    sites, w, made = hospitals(), np.array(START), [np.array(START)]
    omega = shares(sites, weighting)
    for _ in range(ROUNDS):
        whole, accuracy = measured(joined(sites), w)
        own = [measured(one, w) for one in sites]
        apart = np.array([abs(accuracy - right) if np.isnan(f) else abs(whole - f) for f, right in own])
        omega = np.maximum(omega - beta * (apart - apart.mean()), 0)
        omega = omega / omega.sum()
        w = w + omega @ np.stack([one.moved(w, np.ones_like(one.y)) for one in sites])
        made.append(w)
    return np.stack(made)


def fedfb(alpha: float, weighting: Weighting) -> Array:
    """Zeng et al. 2021 for equal opportunity, lambda of a round from the losses of the round before."""
    sites, w, made = hospitals(), np.array(START), [np.array(START)]
    whole, p = joined(sites), shares(sites, weighting)
    share = np.array([whole.events(group).mean() for group in (0, 1)])
    lam = share.copy()
    for number in range(1, ROUNDS + 1):
        ratio = lam / share
        v = [np.where(one.events(0), ratio[0], np.where(one.events(1), ratio[1], 1.0)) for one in sites]
        loss = [whole.loss(w)[whole.events(group)].mean() for group in (0, 1)]
        w = w + p @ np.stack([one.moved(w, weight) for one, weight in zip(sites, v, strict=True)])
        worse = int(loss[1] > loss[0])
        step = min(alpha / number, lam[1 - worse])
        lam[worse] += step
        lam[1 - worse] -= step
        made.append(w)
    return np.stack(made)


def follows(build: Build, closed: Callable[[Weighting], Array], words: str, tolerance: float = 1e-10) -> Checks:
    """The path for each weighting."""
    for weighting in Weighting:

        def error(method: type[Algorithm], weighting: Weighting = weighting) -> float:
            return gap(path(build(method), weighting), closed(weighting))

        yield Check(f"{words}, weighting {weighting.value}", error, tolerance)


def of_fairfed() -> Checks:
    """FairFed: its path with and without weights that reach 0, and FedAvg at beta 0."""

    def build(beta: float) -> Build:
        return lambda method: narrow(method, FairFed)(group="arm", beta=beta)

    for beta in (0.1, 3.0):
        yield from follows(build(beta), functools.partial(fairfed, beta), f"path, beta {beta:g}")
    yield from follows(build(0.0), lambda weighting: path(Algorithm(), weighting), "beta 0 is FedAvg", 1e-12)


def of_fedfb() -> Checks:
    """FedFB: its path with and without a lambda that reaches 0, and FedAvg at alpha 0."""

    def build(alpha: float) -> Build:
        return lambda method: narrow(method, FedFB)(group="arm", alpha=alpha)

    for alpha in (0.05, 1.0):
        yield from follows(build(alpha), functools.partial(fedfb, alpha), f"path, alpha {alpha:g}")
    words = "alpha 0 is FedAvg, bit for bit"
    yield from follows(build(0.0), lambda weighting: path(Algorithm(), weighting), words, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"fairfed": of_fairfed, "fedfb": of_fedfb}
