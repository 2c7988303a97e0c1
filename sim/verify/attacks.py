"""What is proved of attacks, by their names in the table. The sites run FedAvg. More in `attacks_collusion`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from sim.engine.attackers import trained_on
from sim.methods.attacks import Attack, LabelFlip, LazySite, Scaling, SignFlip
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


def of_signflip() -> Checks:
    """Sign flip."""
    yield from every(lambda entry, sites: narrow(entry, SignFlip)(sites=sites, scale=3.0), lambda u, bad: -3.0 * u)


def of_lazysite() -> Checks:
    """Zeros."""
    yield from every(lambda entry, sites: narrow(entry, LazySite)(sites=sites), lambda u, bad: 0.0 * u)


def poisoned(make: Callable[[type[Attack]], Attack], factor: float, words: str) -> Check[Attack]:
    """Attackers' rows have the negative values: their optimum is -b, and they send a multiple."""
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
        given, wanted = (classes, answer, survival["time_days"]), ([4, 3, 2, 0], [1, 0], label * 1.5)
        parts = [np.asarray(one, float) - other for one, other in zip(given, wanted, strict=True)]
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
        y = np.asarray(trained_on(attack, federation, 0).y["value"], float)
        recorded = np.asarray(federation.y["value"], float)
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
    "scaling": of_scaling,
    "lazysite": of_lazysite,
}
