"""Who attacks, and what that does to the rows that they train on."""

import numpy as np

from sim.arrays import Ints
from sim.federation.federation import Federation
from sim.methods.attacks.base import Attack
from sim.tasks.task import OutcomeColumns


def attackers(attack: Attack, federation: Federation, seed: int) -> Ints:
    """Numbers of the sites that attack, ascending; external sites send nothing."""
    members = federation.members
    return np.asarray(members[attack.faulty(federation.keys[members], seed)])


def trained_on(attack: Attack, federation: Federation, seed: int) -> OutcomeColumns:
    """Columns of the outcome as sites train on them: poisoned in the training rows of those that attack; each [R]."""
    if not attack.poisons:
        return federation.y
    y = dict(federation.y)
    low, high = federation.bounds[attackers(attack, federation, seed), :2].T
    rows = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)] or [np.zeros(0, np.int64)])
    poisoned = attack.poison({name: column[rows] for name, column in y.items()}, max(len(federation.levels), 2))
    for name, column in poisoned.items():
        y[name] = y[name].copy()
        y[name][rows] = column
    return y
