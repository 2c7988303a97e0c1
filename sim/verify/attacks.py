"""What is proved of every attack, by its name in the table. The sites run FedAvg."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from sim.engine.attackers import trained_on
from sim.methods.attacks import ALIE, IPM, Attack, LabelFlip, LazySite, MinMax, Scaling, SignFlip
from sim.methods.attacks.collusion import Direction
from sim.methods.roles import Roles
from sim.verify.aggregators import uploads
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

Checks = Iterator[Check[Attack]]
Bad = NDArray[np.bool_]
Rule = Callable[[Array, Bad], Array]  # uploads [M, D], attackers [M] -> uploads as they arrive


def path(rule: Rule, bad: Bad) -> Callable[[Trial], Array]:
    """FedAvg with uploads that are tampered with; bad: bool [S]."""

    def closed(trial: Trial) -> Array:
        x, found = trial.start, [trial.start]
        for tick in trial.ticks():
            x = x + tick.p @ rule(moves(trial, tick, x), bad[tick.sites])
            found.append(x)
        return np.stack(found)

    return closed


def follows(make: Callable[[type[Attack]], Attack], rule: Rule, words: str) -> Check[Attack]:
    """The path of four of six sites in each round, two of the six attack."""
    trial = spatial(20, 4)

    def error(entry: type[Attack]) -> float:
        attack = make(entry)
        bad = attack.faulty(trial.problem.federation.keys, trial.seed)
        wrong = abs(int(bad.sum()) - 2)
        return max(gap(trial.path(Roles(attack=attack)), path(rule, bad)(trial)), float(wrong))

    return Check(words, error)


def nobody(make: Callable[[type[Attack]], Attack]) -> Check[Attack]:
    """Without attackers the attack is none."""
    trial = spatial(20, 4)
    return Check(
        "no attackers are FedAvg, bit for bit",
        lambda entry: gap(trial.path(Roles(attack=make(entry))), trial.path(Roles())),
        0.0,
    )


def sent_by(make: Callable[[type[Attack]], Attack], rule: Rule, words: str) -> Check[Attack]:
    """What arrives of nine uploads of which three are attackers'; scalars and honest uploads stay."""

    def error(entry: type[Attack]) -> float:
        worst = 0.0
        for seed in range(5):
            vector, number, bad = uploads(9, seed), torch.arange(1.0, 10.0), np.arange(9) % 4 == seed % 4
            given = {"delta": torch.from_numpy(vector), "norm": number}
            sent = make(entry).tamper(given, torch.from_numpy(bad))
            expected = np.where(bad[:, None], rule(vector, bad), vector)
            stays = float((sent["norm"] - number).abs().max())
            worst = max(worst, gap(sent["delta"].numpy(), expected), stays)
        return worst

    return Check(words, error, 1e-12)


def of_none() -> Checks:
    """No attack."""
    trial = spatial(10, 3, momentum=0.5)
    yield Check(
        "is FedAvg, bit for bit", lambda entry: gap(trial.path(Roles(attack=entry())), trial.path(Roles())), 0.0
    )


def every(make: Callable[[type[Attack], int], Attack], rule: Rule) -> Checks:
    """What holds of every attack on uploads; make: the class and how many attack."""
    yield nobody(lambda entry: make(entry, 0))
    yield sent_by(lambda entry: make(entry, 2), rule, "attackers send the rule's vector, all else stays")

    def on_path(u: Array, bad: Bad) -> Array:
        return np.where(bad[:, None], rule(u, bad), u) if bad.any() else u

    yield follows(lambda entry: make(entry, 2), on_path, "path, two of six attack")


def honest(u: Array, bad: Bad) -> Array:
    """Uploads of the honest sites."""
    return u[~bad]


def of_signflip() -> Checks:
    """Sign flip."""
    yield from every(lambda entry, sites: narrow(entry, SignFlip)(sites=sites, scale=3.0), lambda u, bad: -3.0 * u)


def of_lazysite() -> Checks:
    """Zeros."""
    yield from every(lambda entry, sites: narrow(entry, LazySite)(sites=sites), lambda u, bad: 0.0 * u)


def of_ipm() -> Checks:
    """Inner product manipulation."""

    def rule(u: Array, bad: Bad) -> Array:
        return np.broadcast_to(-0.7 * honest(u, bad).mean(0), u.shape)

    yield from every(lambda entry, sites: narrow(entry, IPM)(sites=sites, epsilon=0.7), rule)


def of_alie() -> Checks:
    """A Little Is Enough."""

    def rule(z: float) -> Rule:
        return lambda u, bad: np.broadcast_to(honest(u, bad).mean(0) - z * honest(u, bad).std(0), u.shape)

    yield from every(lambda entry, sites: narrow(entry, ALIE)(sites=sites, z=1.5), rule(1.5))

    def by_size(u: Array, bad: Bad) -> Array:
        n, m = len(u), int(bad.sum())
        s = n // 2 + 1 - m
        return rule(NormalDist().inv_cdf((n - m - s) / (n - m)))(u, bad)

    yield sent_by(lambda entry: narrow(entry, ALIE)(sites=2), by_size, "z is the paper's z_max of the update")


def farthest(one: Array, others: Array) -> float:
    """Largest distance from one vector to some others."""
    return float(np.linalg.norm(others - one, axis=1).max())


def bisected(direction: Direction, u: Array, bad: Bad) -> Array:
    """Shejwalkar and Houmansadr 2021: gamma by halving an interval, distances by enumeration."""
    good = honest(u, bad)
    mean, most = good.mean(0), max(farthest(one, good) for one in good)
    push = {
        Direction.std: -good.std(0),
        Direction.unit: -mean / np.linalg.norm(mean),
        Direction.sign: -np.sign(mean),
    }[direction]
    low, high = 0.0, 1e3
    for _ in range(100):
        gamma = (low + high) / 2
        low, high = (gamma, high) if farthest(mean + gamma * push, good) <= most else (low, gamma)
    return np.broadcast_to(mean + low * push, u.shape)


def of_minmax() -> Checks:
    """Min-max."""
    for direction in Direction:

        def make(entry: type[Attack], direction: Direction = direction) -> Attack:
            return narrow(entry, MinMax)(sites=2, direction=direction)

        def rule(u: Array, bad: Bad, direction: Direction = direction) -> Array:
            return bisected(direction, u, bad)

        yield sent_by(make, rule, f"gamma by bisection, direction {direction.value}")
    yield nobody(lambda entry: narrow(entry, MinMax)(sites=0))

    def reach(entry: type[Attack]) -> float:
        u, bad = uploads(9), np.arange(9) < 3
        sent = narrow(entry, MinMax)().tamper({"delta": torch.from_numpy(u)}, torch.from_numpy(bad))["delta"].numpy()
        return abs(farthest(sent[0], u[3:]) - max(farthest(one, u[3:]) for one in u[3:]))

    yield Check("the farthest honest upload is as far as the farthest two honest are apart", reach)


def poisoned(make: Callable[[type[Attack]], Attack], factor: float, words: str) -> Check[Attack]:
    """Attackers' rows have the negative values: their optimum lies at -b, and they send a multiple."""
    trial = spatial(20, 4)

    def error(entry: type[Attack]) -> float:
        attack = make(entry)
        bad = attack.faulty(trial.problem.federation.keys, trial.seed)
        centre = np.where(bad[:, None], -1.0, 1.0) * trial.problem.centre
        other = replace(trial, problem=replace(trial.problem, centre=centre))
        closed = path(lambda u, some: np.where(some[:, None], factor * u, u), bad)(other)
        return max(gap(trial.path(Roles(attack=attack)), closed), abs(float(bad.sum()) - 2))

    return Check(words, error)


def opposite(make: Callable[[type[Attack]], Attack]) -> Check[Attack]:
    """Classes are reversed, events are what did not happen, times stay."""

    def error(entry: type[Attack]) -> float:
        attack, label = make(entry), np.array([0, 1, 2, 4])
        classes = attack.poison({"label": label}, 5)["label"]
        answer = attack.poison({"label": label[:2]}, 2)["label"]
        survival = attack.poison({"time_days": label * 1.5, "event": label > 1}, 2)
        parts = (classes - [4, 3, 2, 0], answer - [1, 0], survival["time_days"] - label * 1.5)
        events = float((survival["event"].astype(bool) != (label <= 1)).sum())
        return max(*(float(np.abs(part).max()) for part in parts), events)

    return Check("classes are reversed, events that did not happen did, times stay", error, 0.0)


def held_out(make: Callable[[type[Attack]], Attack]) -> Check[Attack]:
    """Validation and test rows, and those of honest sites, are as recorded."""
    whole = spatial(1).problem.federation
    bounds = whole.bounds.copy()
    bounds[:, 1:3] = bounds[:, :1] + np.array([3, 4])  # three rows to train on, one to validate, the rest to test

    def error(entry: type[Attack]) -> float:
        federation = replace(whole, bounds=bounds)
        attack = make(entry)
        bad = attack.faulty(federation.keys, 0)
        y, recorded = np.asarray(trained_on(attack, federation, 0)["value"], float), federation.y["value"]
        wrong = 0.0
        for at, (low, ends, _, high) in enumerate(bounds):
            wrong += gap(y[ends:high], recorded[ends:high])
            wrong += gap(y[low:ends], -recorded[low:ends] if bad[at] else recorded[low:ends])
        return wrong

    return Check("training rows of attackers alone are poisoned", error, 0.0)


def of_labelflip() -> Checks:
    """Flipped outcomes."""
    yield nobody(lambda entry: narrow(entry, LabelFlip)(sites=0))
    yield opposite(lambda entry: narrow(entry, LabelFlip)(sites=2))
    yield held_out(lambda entry: narrow(entry, LabelFlip)(sites=2))
    yield poisoned(lambda entry: narrow(entry, LabelFlip)(sites=2), 1.0, "path, two of six train on negative values")


def of_scaling() -> Checks:
    """Model replacement."""
    yield from every(
        lambda entry, sites: narrow(entry, Scaling)(sites=sites, factor=4.0, flip=False), lambda u, bad: 4.0 * u
    )
    yield held_out(lambda entry: narrow(entry, Scaling)(sites=2))
    yield poisoned(
        lambda entry: narrow(entry, Scaling)(sites=2, factor=1.5), 1.5, "path, two of six flip and send 1.5 times"
    )


CHECKS: dict[str, Callable[[], Checks]] = {
    "none": of_none,
    "signflip": of_signflip,
    "labelflip": of_labelflip,
    "alie": of_alie,
    "ipm": of_ipm,
    "minmax": of_minmax,
    "scaling": of_scaling,
    "lazysite": of_lazysite,
}
