"""Drawing without replacement: sites take turns, and each takes a patient of a class drawn from its own mix."""

from typing import NamedTuple

import numpy as np

from sim.arrays import Floats, Ints
from sim.jit import exact
from sim.partition.redraw import LabelledPatients
from sim.random import key, scatter, uniform


class Urn(NamedTuple):
    """Mixes of K sites over G coarse and F fine classes, and the classes of N patients."""

    top: Floats  # [K, G] weights of the coarse classes
    inner: Floats  # [K, F] weights of the fine classes within their coarse class
    parent: Ints  # [F] coarse class of a fine one
    code: Ints  # [N] fine class of a patient


def deal_from_urn(urn: Urn, patients: LabelledPatients, sites: int, seed: int, name: str, number: int) -> Ints:
    """Site of every patient, [N]: sizes differ by one patient at most, and sites take turns in random order."""
    total = len(urn.code)
    turns = np.arange(total) * sites // total
    turn = turns[np.argsort(scatter(key(seed, "partition", name, number, "turn"), np.arange(total)), kind="stable")]
    u = uniform(scatter(key(seed, "partition", name, number, "class"), np.arange(total)[:, None], np.arange(2)))
    stock = np.bincount(urn.code, minlength=len(urn.parent))
    taken = draw_classes(urn.top, urn.inner, urn.parent, turn, u, stock)
    # The j-th turn in which a class is drawn takes the j-th of its patients in random order.
    site = np.empty(total, dtype=np.int64)
    order = patients.shuffled(seed, name, number)
    by_class = order[np.argsort(urn.code[order], kind="stable")]
    site[by_class] = turn[np.argsort(taken, kind="stable")]
    return site


@exact
def draw_classes(
    top: Floats, inner: Floats, parent: Ints, turn: Ints, u: Floats, stock: Ints
) -> Ints:  # pragma: no cover - compiled
    """Fine class drawn at every turn, [N].

    turn   [N]: site whose turn it is
    u      [N, 2]: uniforms that draw the coarse class and the fine one
    stock  [F]: patients of every fine class
    """
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
        group, seen = -1, 0.0
        for g in range(len(coarse)):
            if coarse[g] == 0:
                continue
            # A site with no class of its mix left draws from what is left, in proportion to it.
            seen += top[k, g] / total if total > 0 else coarse[g] / (len(turn) - i)
            group = g
            if u[i, 0] < seen:
                break
        total = 0.0
        for f in range(len(parent)):
            if parent[f] == group and left[f] > 0:
                total += inner[k, f]
        seen, last = 0.0, -1
        for f in range(len(parent)):
            if parent[f] != group or left[f] == 0:
                continue
            seen += inner[k, f] / total if total > 0 else left[f] / coarse[group]
            last = f
            if u[i, 1] < seen:
                break
        left[last] -= 1
        coarse[group] -= 1
        taken[i] = last
    return taken
