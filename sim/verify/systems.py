"""What is proved of every system and of methods with several server models, by their names in the tables."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sim.engine.clusters import IFCA
from sim.engine.loops import OwnLoop
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.methods.systems.base import System
from sim.methods.systems.buffered import Buffered
from sim.methods.systems.sync import Sync
from sim.verify.check import Check
from sim.verify.paths import losses, moves, response
from sim.verify.properties import spatial
from sim.verify.quadratic import Array, Quadratic, six_sites
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[System]]


def timed(system: System, rounds: int) -> Trial:
    """Six sites with four local steps each under a system of their own, chunks of two."""
    return Trial(
        six_sites(), (4,) * 6, rounds, Training(lr=0.05, batch=0, steps=4, chunk=2, momentum=0.3), system=system
    )


def delta(trial: Trial, site: int, steps: int, x: Array) -> Array:
    """Way of a site in so many steps from x; [D]."""
    moved = response(trial.problem.curvature[site], steps, trial.training.lr, trial.training.momentum)
    return np.asarray(-moved @ trial.problem.gradient(site, x))


def of_sync() -> Checks:
    """Rounds."""

    def endless(entry: type[System]) -> float:
        system = narrow(entry, Sync)(sites=3, spread=0.5, deadline=1e6)
        return gap(timed(system, 12).path(Roles()), timed(Sync(sites=3), 12).path(Roles()))

    yield Check("a deadline nobody misses changes nothing, bit for bit", endless, 0.0)

    for partial in (True, False):

        def late(entry: type[System], partial: bool = partial) -> float:
            system = narrow(entry, Sync)(spread=0.8, deadline=0.14, partial=partial)
            trial = timed(system, 15)
            profile = trial.plan(Roles()).profile
            travel = 2 * system.latency_seconds + 8e-6 * (profile.bytes_down + profile.bytes_up) / system.mbps
            able = np.floor((0.14 - travel) / system.slowness(profile)).astype(int)
            done = np.minimum(able, 4) if partial else np.where(able >= 4, 4, 0)
            if not (done.any() and (done < 4).any()):
                return np.inf  # the trial must tell sites apart
            x, path = trial.start, [trial.start]
            some = np.flatnonzero(done)
            p = trial.weights[some] / trial.weights[some].sum()
            for _ in range(trial.rounds):
                x = x + p @ np.stack([delta(trial, int(site), int(done[site]), x) for site in some])
                path.append(x)
            return gap(trial.path(Roles()), np.stack(path))

        yield Check(f"path under a deadline, partial work {'counts' if partial else 'is lost'}", late)


def asynchronous(trial: Trial, system: Buffered, starts: list[float]) -> Array:
    """FedBuff with all sites training at all times, from an event list of its own; [T + 1, D].

    starts: seconds a site takes for a round, [S].
    """
    x, path, now = trial.start, [trial.start], 0.0
    rest = set(range(len(starts)))
    events: list[tuple[float, int, int, Array]] = []
    for number in range(trial.rounds):
        for site in sorted(rest):
            heapq.heappush(events, (now + starts[site], site, number, delta(trial, site, trial.steps[site], x)))
        taken: list[tuple[int, Array]] = []
        rest = set()
        while len(taken) < system.buffer:
            now, site, begun, moved = heapq.heappop(events)
            taken.append((site, (1.0 + number - begun) ** -system.power * moved))
            rest.add(site)
        p = trial.weights[[site for site, _ in taken]]
        x = x + (p / p.sum()) @ np.stack([moved for _, moved in taken])
        path.append(x)
    return np.stack(path)


def of_buffered() -> Checks:
    """FedBuff."""

    def equal(entry: type[System]) -> float:
        system = narrow(entry, Buffered)(buffer=6)
        return gap(timed(system, 12).path(Roles()), timed(Sync(), 12).path(Roles()))

    yield Check("equal pace and a buffer for all sites are FedAvg, bit for bit", equal, 0.0)

    for power in (0.0, 0.5):

        def paced(entry: type[System], power: float = power) -> float:
            system = narrow(entry, Buffered)(buffer=2, power=power, spread=0.9)
            trial = timed(system, 40)
            profile = trial.plan(Roles()).profile
            travel = 2 * system.latency_seconds + 8e-6 * (profile.bytes_down + profile.bytes_up) / system.mbps
            starts = (travel + 4 * system.slowness(profile)).tolist()
            return gap(trial.path(Roles()), asynchronous(trial, system, starts))

        yield Check(f"path at six paces, buffer 2, late work discounted by (1 + s)^-{power:g}", paced)


def two_groups() -> Quadratic:
    """Six sites whose optima lie near one of two points, the same curvature everywhere."""
    whole = six_sites()
    far = np.where(np.arange(6)[:, None] % 2 == 0, 3.0, -3.0) * np.ones((1, 5))
    return replace(whole, curvature=np.tile(np.eye(5), (6, 1, 1)), centre=far + 0.1 * whole.centre)


def of_ifca() -> Iterator[Check[OwnLoop]]:
    """IFCA."""
    trial = spatial(12, 3, momentum=0.5)

    def one(entry: type[OwnLoop]) -> float:
        found = trial.loop(narrow(entry, IFCA)(clusters=1))
        start = trial.plan(Roles()).standing().x.numpy()
        return gap(found[:, 0], replace(trial, first=tuple(start)).path(Roles()))

    yield Check("one cluster is FedAvg, bit for bit", one, 0.0)

    def sampled(entry: type[OwnLoop]) -> float:
        groups = replace(trial, problem=two_groups())
        found = groups.loop(narrow(entry, IFCA)(clusters=2))
        return gap(found, clustered(groups, found[0]))

    yield Check("path of two models, 3 of 6 sites", sampled)

    def two(entry: type[OwnLoop]) -> float:
        groups = replace(spatial(300), problem=two_groups())
        ends = groups.loop(narrow(entry, IFCA)(clusters=2))[-1]
        centres = np.stack([groups.problem.centre[at::2] for at in (0, 1)])
        rows = np.stack([groups.problem.rows[at::2] for at in (0, 1)]).astype(float)
        steps = np.array(groups.steps)
        expected = []
        for at in (0, 1):
            pull = rows[at] * (1 - (1 - groups.training.lr) ** steps[at::2])
            expected.append(pull @ centres[at] / pull.sum())
        order = sorted(ends.tolist(), reverse=True)
        return gap(np.array(order), np.array(sorted((point.tolist() for point in expected), reverse=True)))

    yield Check("two groups of sites, two models, each at its group's fixed point", two)


def clustered(trial: Trial, start: Array) -> Array:
    """Ghosh et al. 2020, Algorithm 1, option II, from the models `start` [J, D]; [T + 1, J, D]."""
    models, found = start.copy(), [start]
    for tick in trial.ticks():
        choice = np.argmin([losses(trial, x)[tick.sites] for x in models], axis=0)
        for at in np.unique(choice):
            mine = choice == at
            part = tick._replace(sites=tick.sites[mine], p=tick.p[mine] / tick.p[mine].sum())
            models[at] += part.p @ moves(trial, part, models[at])
        found.append(models.copy())
    return np.stack(found)


CHECKS: dict[str, Callable[[], Checks]] = {"sync": of_sync, "buffered": of_buffered}
LOOPS: dict[str, Callable[[], Iterator[Check[OwnLoop]]]] = {"ifca": of_ifca}
