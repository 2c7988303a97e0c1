"""What is proved of Mime and MimeLite: their recursions on mini-batches, and the numbers of FedJAX's tests."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sim.arrays import Ints
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import Federation, from_arrays
from sim.local import plan
from sim.local.settings import Tier, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.mime import Mime
from sim.methods.algorithms.mimelite import MimeLite
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.methods.uplink.clip import Clip
from sim.tasks.task import Task
from sim.verify import paths as recursion
from sim.verify.check import Check
from sim.verify.properties import Build, Checks, Closed, averages, follows, one_step, spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, narrow


def light(beta: float) -> Build:
    """MimeLite with this beta."""
    return lambda method: narrow(method, MimeLite)(beta=beta)


def full(beta: float) -> Build:
    """Mime with this beta."""
    return lambda method: narrow(method, Mime)(beta=beta)


def batches(
    federation: Federation, training: Training, site: int, steps: int, seed: int, number: int
) -> Iterator[Ints]:
    """Rows of a site's local steps in a round, as the site would draw them."""
    at, count = np.array([site]), np.array([steps])
    sites = plan.Sites(federation.bounds[at, 0], federation.rows[at], count, federation.keys[at])
    return (step.row[0][step.valid[0]] for step in plan.steps(sites, training, seed, number))


def mime(beta: float, variance: bool) -> Closed:
    """Karimireddy et al. 2021, Algorithm 1: Mime, or without the variance term MimeLite."""

    def closed(trial: Trial) -> Array:
        federation, decay = trial.problem.federation, trial.training.weight_decay
        values = np.asarray(federation.y["value"], dtype=np.float64)

        def g(w: Array, row: Ints) -> Array:
            x = federation.x[row]
            return np.asarray(x.T @ (x @ w - values[row]) / len(row) + decay * w)

        x, path, m = trial.start, [trial.start], np.zeros_like(trial.start)
        for number, tick in enumerate(trial.ticks(), 1):
            c = tick.p @ np.stack([trial.problem.gradient(site, x) + decay * x for site in tick.sites])
            ends = []
            for site in tick.sites:
                y = x
                for row in batches(federation, trial.training, site, trial.steps[site], trial.seed, number):
                    step = g(y, row) - g(x, row) + c if variance else g(y, row)
                    y = y - tick.lr * ((1 - beta) * step + beta * m)
                ends.append(y)
            x, m = tick.p @ np.stack(ends), (1 - beta) * c + beta * m
            path.append(x)
        return np.stack(path)

    return closed


class Slope(Task):
    """FedJAX's test: the loss of a row is x w, and its gradient x wherever w is."""

    outputs = 1

    def targets(self, y: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
        """None is read; a task needs one."""
        return {"value": torch.from_numpy(y["value"])}

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """x w; [B, 1] -> [B]."""
        return output[:, 0]


@functools.cache
def slope() -> Slope:
    """One object, since the engine traces gradients once per task."""
    return Slope(nn.Linear(1, 1, bias=False, device="meta"))


def fedjax(algorithm: Algorithm, rows: tuple[tuple[float, ...], ...], bound: float = 0.0) -> float:
    """The model after one round from 4.0: batches of two, one epoch, local rate 1, server rate 0.2.

    The first site's last row makes a batch of its own, as in their test: the first seed with such an order is used.
    """
    held = {f"cid{at}": (np.array([row]).T, {"value": np.array(row)}) for at, row in enumerate(rows)}
    federation, training = from_arrays(held), Training(lr=1.0, batch=2)
    alone = int(np.argmin(rows[0]))
    for seed in range(1000):
        *_, last = batches(federation, training, 0, 2, seed, 1)
        if last.tolist() == [alone]:
            break
    uplink = (Clip(bound=bound),) if bound else ()
    roles = Roles(algorithm, uplink)
    made = Simulation(federation, slope(), roles, training, Evaluation(), rounds=1, seed=seed)
    *_, here = simulate(made, InProcess(), torch.tensor([4.0], dtype=torch.float64))
    return 4.0 + 0.2 * (float(here.model[0]) - 4.0)


def as_in_fedjax(
    build: Build, rows: tuple[tuple[float, ...], ...], value: float, bound: float = 0.0
) -> Check[Algorithm]:
    """The model after FedJAX's round is the one in their test."""
    words = f"FedJAX's test: 4.0 to {value:g}" + (f", uploads clipped to {bound:g}" if bound else "")
    return Check(words, lambda method: abs(fedjax(build(method), rows, bound) - value), 1e-12)


def small_batches(weighting: Weighting, sites: int = 3) -> Trial:
    """Mini-batches of two rows, a falling rate, weight decay, chunks of two sites."""
    trial = spatial(20, sites, weighting)
    training = replace(trial.training, batch=2, decay=0.98, chunk=2, weight_decay=0.1)
    return replace(trial, training=training)


def of_mimelite() -> Checks:
    """MimeLite: its recursion, FedAvg without momentum, FedJAX's numbers."""
    for weighting in Weighting:
        words = f"path, 3 of 6 sites, mini-batches, weighting {weighting.value}"
        yield follows(light(0.8), small_batches(weighting), mime(0.8, False), words)
    yield from one_step(light(0.0))
    stacked = spatial(10, 3)
    stacked = replace(stacked, training=replace(stacked.training, tier=Tier.stacked))
    yield averages(light(0.0), stacked, "beta 0 is FedAvg, bit for bit", 0.0)
    few, two = (0.2, 0.4, 0.6), (0.8, 0.1)
    for bound, value in ((0.0, 3.88), (0.5, 3.904)):
        yield as_in_fedjax(light(0.0), (few, two), value, bound)


def of_mime() -> Checks:
    """Mime: its recursion, one step is gradient descent whatever the batch, FedJAX's number."""
    for weighting in Weighting:
        words = f"path, 3 of 6 sites, mini-batches, weighting {weighting.value}"
        yield follows(full(0.8), small_batches(weighting), mime(0.8, True), words)
        one = replace(small_batches(weighting, 0), steps=(1,) * 6)
        one = replace(one, training=replace(one.training, weight_decay=0.0))
        words = f"one local step on two rows is pooled gradient descent, weighting {weighting.value}"
        yield follows(full(0.0), one, recursion.descent, words)
    rows = ((2.0, 4.0, 6.0), (8.0, 10.0))
    yield as_in_fedjax(full(0.0), rows, 2.08)


CHECKS: dict[str, Callable[[], Checks]] = {"mimelite": of_mimelite, "mime": of_mime}
