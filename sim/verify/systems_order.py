"""What is proved of systems that choose their sites by a rule of their own, by their names in the table."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sim.arrays import Floats, Ints
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.methods.systems.base import Losses, System
from sim.methods.systems.cyclic import Cyclic
from sim.verify.check import Check
from sim.verify.paths import response
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


def order(trial: Trial, losses: Losses = alike) -> list[list[int]]:
    """Sites whose work every update takes."""
    profile = trial.plan(Roles()).profile
    return [tick.arrive.tolist() for tick in trial.system.ticks(profile, trial.rounds, losses)]


def passed_on(trial: Trial, sites: list[int]) -> Array:
    """Models when each site goes on from where the one before it stopped; [T + 1, D]."""
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


CHECKS: dict[str, Callable[[], Checks]] = {"cyclic": of_cyclic}
