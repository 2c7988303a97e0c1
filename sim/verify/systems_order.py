"""What is proved of systems that choose their sites by a rule of their own, by their names in the table."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sim.arrays import Floats, Ints
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.methods.systems.base import System
from sim.methods.systems.cyclic import Cyclic
from sim.methods.systems.powerofchoice import PowerOfChoice
from sim.methods.systems.sync import Sync
from sim.verify.check import Check
from sim.verify.paths import losses, response
from sim.verify.quadratic import Array, six_sites
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[System]]


def visited(system: System, rounds: int, seed: int = 0) -> Trial:
    """Six sites with four local steps each under a system of their own."""
    training = Training(lr=0.05, batch=0, steps=4, chunk=2, momentum=0.3)
    return Trial(six_sites(), (4,) * 6, rounds, training, system=system, seed=seed)


def alike(sites: Ints) -> Floats:
    """Losses that are the same everywhere; [C] -> [C]."""
    return np.ones(len(sites))


def order(trial: Trial) -> list[list[int]]:
    """Sites whose work every update takes."""
    profile = trial.plan(Roles()).profile
    return [tick.arrive.tolist() for tick in trial.system.ticks(profile, trial.rounds, alike)]


def passed_on(trial: Trial, sites: list[int]) -> Array:
    """Models when each site continues from the model of the previous one; [T + 1, D]."""
    x, path = trial.start, [trial.start]
    for site in sites:
        moved = response(trial.problem.curvature[site], 4, trial.training.lr, trial.training.momentum)
        x = x - moved @ trial.problem.gradient(site, x)
        path.append(x)
    return np.stack(path)


def of_cyclic() -> Checks:
    """Cyclic transfer."""

    def walks(entry: type[System]) -> float:
        trial = visited(narrow(entry, Cyclic)(), 20)
        sites = [site for (site,) in order(trial)]
        return gap(trial.path(Roles()), passed_on(trial, sites))

    yield Check("each site goes on from the model of the one before it, 20 visits", walks)

    def same_cycle(entry: type[System]) -> float:
        cycles = []
        for seed in range(4):
            visits = order(visited(narrow(entry, Cyclic)(), 18, seed))
            first = visits[:6]
            if visits != 3 * first or sorted(first) != [[site] for site in range(6)]:
                return np.inf
            cycles.append(tuple(map(tuple, first)))
        return 0.0 if len(set(cycles)) > 1 else np.inf

    yield Check("every cycle visits all sites once, in one order that the seed draws", same_cycle, 0.0)

    def rests(entry: type[System]) -> float:
        """The last model of a cycle tends to where the affine map of the whole cycle leaves it."""
        trial = visited(narrow(entry, Cyclic)(), 6 * 30)
        slope: Array = np.eye(5)
        shift: Array = np.zeros(5)
        for (site,) in order(replace(trial, rounds=6)):
            a, b = trial.problem.curvature[site], trial.problem.centre[site]
            moved = response(a, 4, trial.training.lr, trial.training.momentum) @ a
            slope, shift = slope - moved @ slope, shift + moved @ (b - shift)
        return gap(trial.end(Roles()), np.asarray(np.linalg.solve(np.eye(5) - slope, shift), np.float64))

    yield Check("comes to rest where a whole cycle leads back to, which is no optimum", rests)

    def serial(entry: type[System]) -> float:
        system = narrow(entry, Cyclic)(spread=0.7)
        trial = visited(system, 12)
        profile = trial.plan(Roles()).profile
        each = system.travel(profile) + 4 * system.slowness(profile)
        (*_, last) = system.ticks(profile, 12, alike)
        return abs(last.seconds - 2 * float(each.sum()))

    yield Check("two cycles take twice the sum of all sites' times", serial)


def chosen(trial: Trial, most: int) -> Array:
    """Cho et al. 2022: of the candidates that the engine drew, those with the largest losses train; [T + 1, D]."""
    profile, x, path = trial.plan(Roles()).profile, trial.start, [trial.start]
    for tick in trial.system.ticks(profile, trial.rounds, alike):
        f = losses(trial, x)[tick.asked]
        sites = tick.asked[np.argsort(-f)[:most]]
        p = trial.weights[sites] / trial.weights[sites].sum()
        x = x + sum(
            weight * (passed_on(replace(trial, first=tuple(x)), [site])[1] - x)
            for weight, site in zip(p, sites.tolist(), strict=True)
        )
        path.append(x)
    return np.stack(path)


def of_powerofchoice() -> Checks:
    """Power-of-choice."""

    def walks(entry: type[System]) -> float:
        trial = visited(narrow(entry, PowerOfChoice)(candidates=4, sites=2), 20)
        return gap(trial.path(Roles()), chosen(trial, 2))

    yield Check("path: of 4 candidates the 2 with the largest loss train", walks)

    def every(entry: type[System]) -> float:
        return gap(visited(narrow(entry, PowerOfChoice)(), 8).path(Roles()), visited(Sync(), 8).path(Roles()))

    yield Check("where all sites are candidates and all are chosen it is FedAvg, bit for bit", every, 0.0)

    def by_weight(entry: type[System]) -> float:
        rounds = 4000
        trial = visited(narrow(entry, PowerOfChoice)(candidates=1, sites=1), rounds)
        count, p = np.bincount([site for (site,) in order(trial)], minlength=6), trial.weights
        return float((np.abs(count - rounds * p) / np.sqrt(rounds * p * (1 - p))).max())

    yield Check("a single candidate is drawn in proportion to its weight, errors in standard errors", by_weight, 4.0)

    def counted(entry: type[System]) -> float:
        trial = visited(narrow(entry, PowerOfChoice)(candidates=4, sites=2), 3)
        here = list(simulate(trial.plan(Roles()), InProcess()))[-1]
        size = 8 * trial.problem.centre.shape[1]
        return float(abs(here.bytes_down - 4 * size) + abs(here.bytes_up - (2 * size + 4 * 4)))

    yield Check("4 candidates download and tell a loss, 2 upload", counted, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {"cyclic": of_cyclic, "powerofchoice": of_powerofchoice}
