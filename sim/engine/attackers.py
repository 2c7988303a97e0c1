"""Which sites attack, and the rows on which they train."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Ints
from sim.federation.federation import Federation
from sim.methods.attacks.backdoor import Backdoor
from sim.methods.attacks.base import Attack
from sim.random import counted, key, scatter, uniform
from sim.tasks.task import OutcomeColumns


class Poisoned(NamedTuple):
    """Rows as sites train on them."""

    x: NDArray[np.floating]  # [R, D]
    y: OutcomeColumns  # each [R]


def attackers(attack: Attack, federation: Federation, seed: int) -> Ints:
    """Numbers of the sites that attack, ascending; external sites send nothing."""
    members = federation.members
    return np.asarray(members[attack.faulty(federation.keys[members], seed)])


def trained_on(attack: Attack, federation: Federation, seed: int) -> Poisoned:
    """Features and outcome on which sites train: poisoned in the training rows of attackers."""
    if isinstance(attack, Backdoor):
        return with_trigger(attack, federation, seed)
    if not attack.poisons:
        return Poisoned(federation.x, federation.y)
    y = dict(federation.y)
    rows = together([np.arange(low, high) for low, high in training_rows(attack, federation, seed)])
    poisoned = attack.poison({name: column[rows] for name, column in y.items()}, max(len(federation.levels), 2))
    for name, column in poisoned.items():
        y[name] = y[name].copy()
        y[name][rows] = column
    return Poisoned(federation.x, y)


def training_rows(attack: Attack, federation: Federation, seed: int) -> Ints:
    """Bounds of the training rows of every site that attacks; [A, 2]."""
    return federation.bounds[attackers(attack, federation, seed), :2]


def together(parts: list[Ints]) -> Ints:
    """Concatenated row numbers; empty if there is no part."""
    return np.concatenate([np.zeros(0, np.int64), *parts])


def with_trigger(attack: Backdoor, federation: Federation, seed: int) -> Poisoned:
    """The trigger and the label in a share of the attackers' training rows, drawn by key."""
    bad = attackers(attack, federation, seed)
    words = scatter(key(seed, "trigger"), federation.keys[bad])
    rows = together(
        [
            low + attack.chosen(uniform(counted(word, np.arange(high - low))))
            for word, (low, high) in zip(words, training_rows(attack, federation, seed), strict=True)
        ]
    )
    y = {**federation.y, "label": federation.y["label"].copy()}
    y["label"][rows] = attack.target
    return Poisoned(marked(attack, federation, rows), y)


def marked(attack: Backdoor, federation: Federation, rows: Ints) -> NDArray[np.floating]:
    """Features with the trigger in some rows; [R, D]."""
    x = np.array(federation.x)
    x[rows, attack.column(federation.features)] = attack.value
    return x
