"""Drawing without replacement: sites take turns, each takes a patient of a class drawn from its own mix."""

from typing import NamedTuple

import numpy as np

from sim.arrays import Floats, Ints
from sim.jit import exact
from sim.partition.redraw import People
from sim.random import key, scatter, uniform


class Urn(NamedTuple):
    """What K sites want of G coarse and F fine classes, and the N patients who are there."""

    top: Floats  # [K, G] weights of the coarse classes
    inner: Floats  # [K, F] weights of the fine classes within their coarse class
    parent: Ints  # [F] coarse class of a fine one
    code: Ints  # [N] fine class of a patient


def fill(urn: Urn, group: People, sites: int, seed: int, name: str, number: int) -> Ints:
    """Site of every patient, [N]: sizes equal but for one, turns in random order."""
    patients = len(urn.code)
    turns = np.arange(patients) * sites // patients
    turn = turns[np.argsort(scatter(key(seed, "partition", name, number, "turn"), np.arange(patients)), kind="stable")]
    u = uniform(scatter(key(seed, "partition", name, number, "class"), np.arange(patients)[:, None], np.arange(2)))
    stock = np.bincount(urn.code, minlength=len(urn.parent))
    taken = take(urn.top, urn.inner, urn.parent, turn, u, stock)
    # The j-th taking of a class takes its j-th patient, in random order.
    site = np.empty(patients, dtype=np.int64)
    order = group.shuffled(seed, name, number)
    by_class = order[np.argsort(urn.code[order], kind="stable")]
    site[by_class] = turn[np.argsort(taken, kind="stable")]
    return site


@exact
def take(
    top: Floats, inner: Floats, parent: Ints, turn: Ints, u: Floats, stock: Ints
) -> Ints:  # pragma: no cover - compiled
    """Fine class taken at every turn, [N]; `turn` [N] says whose it is, `u` [N, 2] draws, `stock` [F] patients each."""
    left = stock.copy()
    coarse = np.zeros(top.shape[1], dtype=np.int64)
    for f in range(len(parent)):
        coarse[parent[f]] += left[f]
    taken = np.empty(len(turn), dtype=np.int64)
    for i in range(len(turn)):
        k = turn[i]
        total = 0.0
        for g in range(len(coarse)):
            if coarse[g] > 0:
                total += top[k, g]
        at, seen = -1, 0.0
        for g in range(len(coarse)):
            if coarse[g] == 0:
                continue
            # A site whose whole mix is used up takes from what there is, by how much there is.
            seen += top[k, g] / total if total > 0 else coarse[g] / (len(turn) - i)
            at = g
            if u[i, 0] < seen:
                break
        total = 0.0
        for f in range(len(parent)):
            if parent[f] == at and left[f] > 0:
                total += inner[k, f]
        seen, last = 0.0, -1
        for f in range(len(parent)):
            if parent[f] != at or left[f] == 0:
                continue
            seen += inner[k, f] / total if total > 0 else left[f] / coarse[at]
            last = f
            if u[i, 1] < seen:
                break
        left[last] -= 1
        coarse[at] -= 1
        taken[i] = last
    return taken
