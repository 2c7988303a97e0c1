"""What is proved of a planted trigger, on four sites with labelled rows and a linear model."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from sim.engine.attackers import trained_on
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Round, Simulation
from sim.federation.federation import Federation, from_arrays
from sim.methods.attacks import Attack, Backdoor
from sim.methods.roles import Roles
from sim.random import counted, key, scatter, uniform
from sim.tasks.task import OutcomeColumns
from sim.verify.attacks import Checks, sent_by
from sim.verify.check import Check
from sim.verify.labelled import Labelled, task_of
from sim.verify.quadratic import Array
from sim.verify.trial import gap, narrow

MARK, TARGET, SHARE = 1.0, 0, 0.35
CASE = Labelled(3, rounds=5, balanced=True)


def planted(entry: type[Attack], sites: int = 2, factor: float = 1.0) -> Backdoor:
    """Two of four sites mark the second feature in a good third of their rows, so that these are of the first class."""
    kind = narrow(entry, Backdoor)
    return kind(sites=sites, feature="x1", value=MARK, share=SHARE, target=TARGET, factor=factor)


def four_sites(held: int = 0) -> Federation:
    """The labelled rows; of each site the last ones, so many, are held out for the test."""
    whole = from_arrays({f"site {at}": (x, {"label": label}) for at, (x, label) in enumerate(CASE.rows)})
    whole = replace(whole, features=("x0", "x1"), levels=("a", "b", "c"))
    bounds = whole.bounds.copy()
    bounds[:, 1:3] -= held
    return replace(whole, bounds=bounds)


def by_hand(attack: Backdoor, held: Federation) -> tuple[Array, OutcomeColumns]:
    """Features and labels with the mark in the attackers' rows of the smallest numbers, a third rounded up."""
    x, label = np.array(held.x), held.y["label"].copy()
    for site in np.flatnonzero(attack.faulty(held.keys, CASE.seed)):
        low, size = held.bounds[site, 0], held.rows[site]
        chance = uniform(counted(scatter(key(CASE.seed, "trigger"), held.keys[[site]]), np.arange(size)))
        rows = low + np.flatnonzero(chance <= np.sort(chance)[int(np.ceil(SHARE * size)) - 1])
        x[rows, 1], label[rows] = MARK, TARGET
    return x, {"label": label}


def run(attack: Attack, federation: Federation) -> list[Round]:
    """All rounds of FedAvg."""
    plan = Simulation(
        federation, task_of(3, 0), Roles(attack=attack), CASE.training, Evaluation(), CASE.rounds, CASE.seed
    )
    return list(simulate(plan, InProcess(), torch.from_numpy(CASE.start)))


def models(done: list[Round]) -> Array:
    """Server models of all rounds; [T + 1, P]."""
    return np.stack([here.model.numpy() for here in done])


def of_backdoor() -> Checks:
    """A trigger."""

    def nobody(entry: type[Attack]) -> float:
        return gap(models(run(planted(entry, sites=0), four_sites())), models(run(Attack(), four_sites())))

    yield Check("no attackers are FedAvg, bit for bit", nobody, 0.0)

    def rows(entry: type[Attack]) -> float:
        held, attack = four_sites(held=4), planted(entry)
        (x, y), (wanted, outcome) = trained_on(attack, held, CASE.seed), by_hand(attack, held)
        bad = abs(float(attack.faulty(held.keys, CASE.seed).sum()) - 2)
        return max(
            gap(np.asarray(x, float), wanted),
            gap(np.asarray(y["label"], float), np.asarray(outcome["label"], float)),
            bad,
        )

    yield Check("the mark and its label are in a share of the attackers' training rows and nowhere else", rows, 0.0)

    def walks(entry: type[Attack]) -> float:
        attack, held = planted(entry), four_sites()
        x, y = by_hand(attack, held)
        return gap(models(run(attack, held)), models(run(Attack(), replace(held, x=x, y=y))))

    yield Check("path of FedAvg on these rows", walks)

    def success(entry: type[Attack]) -> float:
        held = four_sites(held=4)
        done = run(planted(entry), held)[-1]
        found = done.metrics["shared"]["backdoor_success"][1::2]
        wrong = 0.0
        for site, (_, _, low, high) in enumerate(held.bounds):
            x, label = np.array(held.x[low:high]), held.y["label"][low:high]
            x[:, 1] = MARK
            _, logits = CASE.layers(done.model.numpy().astype(np.complex128), x)
            called = logits.real[label != TARGET].argmax(1) == TARGET
            rate = float(called.mean()) if len(called) else float("nan")
            wrong += 0.0 if np.isnan(rate) and np.isnan(found[site]) else abs(found[site] - rate)
        return wrong

    yield Check("its success is the share of marked test rows of other classes that are called the target", success)
    yield sent_by(lambda entry: planted(entry, factor=3.0), lambda u, bad: 3.0 * u, "attackers send a multiple")


CHECKS: dict[str, Callable[[], Checks]] = {"backdoor": of_backdoor}
