"""One layer with one output, or two under softmax: its gradient from rows that are read in place.

Logistic regression does so little arithmetic per row that copying the row would cost more. Of two outputs under softmax
only the difference matters, and their gradients are opposite.
"""

import numpy as np

from sim.arrays import Ints, Reals
from sim.jit import lean
from sim.local.backprop import up
from sim.local.dense import BIAS, INPUTS, OUTPUTS, STRIDE, WEIGHTS, Data, Network
from sim.local.gathered import difference, dots, logistic, weigh
from sim.local.tiles import LANES, ROWS, ask
from sim.tasks.closed import Loss

SQUARED, SOFTMAX, HAZARD = int(Loss.squared), int(Loss.softmax), int(Loss.hazard)


@lean
def known(net: Network) -> bool:
    """Whether a network is one of these; networks with fewer features than a vector has lanes use the general loops."""
    outputs = net.table[OUTPUTS, 0]
    alike = net.loss != HAZARD and outputs == (2 if net.loss == SOFTMAX else 1)
    return net.layers == 1 and alike and net.table[INPUTS, 0] >= LANES


@lean
def slopes(
    net: Network,
    data: Data,
    w: Reals,
    order: Ints,
    low: int,
    rows: int,
    places: Ints,
    z: Reals,
    u: Reals,
    following: int,
    ahead: int,
) -> None:
    """Derivative of each row's loss by the output, or the difference of two, into z, which is zero beyond `rows`.

    The rows are order[low : low + rows]; places [TILE] is where they begin in the features. u [Q] holds the weights of
    the output, or the difference of those of two. The `ahead` rows from `following` on are prefetched meanwhile.
    """
    x, y = data.x, data.y
    size, more, less = net.table[INPUTS, 0], second(net), first(net)
    for panel in range(0, size + 1, LANES):
        difference(u, w, more, less, panel)
    bias = u[size] if net.table[BIAS, 0] else w.dtype.type(0)
    tall = up(rows, ROWS)
    for i in range(tall):
        places[i] = order[low + min(i, rows - 1)] * size
    share = (ahead * ROWS + tall - 1) // tall
    for i in range(0, tall, ROWS):
        dots(z, i, x, places, u, size)
        asked = i // ROWS * share
        ask(x, following + asked, min(share, ahead - asked))
    for i in range(tall):
        z[i] += bias
    if net.loss != SQUARED:
        for i in range(0, tall, LANES):
            logistic(z, i)
    for i in range(rows):
        z[i] -= y[0, order[low + i]]
    for i in range(rows, tall):
        z[i] = 0


@lean
def add(net: Network, target: Reals, rows: int, x: Reals, places: Ints, z: Reals, scale: np.floating) -> None:
    """Add the tile's summed gradient, times `scale`, to `target` [Q]."""
    size, more, less = net.table[INPUTS, 0], second(net), first(net)
    for panel in range(0, size, LANES):
        weigh(target, more, less, panel, x, places, z, up(rows, ROWS), size, scale)
    if net.table[BIAS, 0]:
        total = z.dtype.type(0)
        for i in range(rows):
            total += z[i]
        target[more + size] += scale * total
        if less >= 0:
            target[less + size] -= scale * total


@lean
def second(net: Network) -> int:
    """Where the weights of the last output begin."""
    return int(net.table[WEIGHTS, 0] + net.table[STRIDE, 0] * (net.table[OUTPUTS, 0] - 1))


@lean
def first(net: Network) -> int:
    """Where those of the first of two outputs begin; -1 if there is one alone."""
    return int(net.table[WEIGHTS, 0]) if net.table[OUTPUTS, 0] == 2 else -1
