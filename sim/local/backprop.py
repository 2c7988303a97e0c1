"""Forward, loss, backward and gradient of a dense network over a tile of rows, in compiled loops.

Letters as everywhere; in addition, `w` is a site's parameters in the local layout [Q], and `work` [2L + 2, TILE, row]
holds the input of layer l (work[l], so that work[L] is the network's output), the gradient of its output (work[L + 1 +
l]) and that of the time bins' intercepts (the last). Loops index whole arrays, because creating a slice costs more than
the few numbers in it.
"""

import math

import numpy as np

from sim.arrays import Ints, Reals
from sim.jit import exact, lean
from sim.local.dense import BIAS, DEPTH, INPUTS, OUTPUTS, PANEL, STRIDE, TILE, WEIGHTS, WIDE, Data, Network
from sim.local.tiles import LANES, ROWS, ask, inner, outer
from sim.tasks.closed import Loss

SQUARED, LOGISTIC, SOFTMAX = int(Loss.squared), int(Loss.logistic), int(Loss.softmax)


@exact
def up(size: int, to: int) -> int:
    """The next multiple."""
    return (size + to - 1) // to * to


@lean
def enter(net: Network, x: Reals, order: Ints, low: int, rows: int, work: Reals) -> None:
    """Copy the rows order[low : low + rows] to the input of the first layer, each with a one for the bias.

    The next rows are prefetched, because their order is random and the processor cannot predict it.
    """
    size = x.shape[1]
    for i in range(rows):
        row = order[low + i]
        for j in range(size):
            work[0, i, j] = x[row, j]
        work[0, i, size] = net.table[BIAS, 0]
    for i in range(low + rows, min(low + 2 * rows, len(order))):
        ask(x, order[i], 1)


@lean
def forward(net: Network, w: Reals, work: Reals, tall: int) -> None:
    """Outputs of every layer for the tile's rows, padded to a multiple of four."""
    one, zero = w.dtype.type(1), w.dtype.type(0)
    row = work.shape[2]
    slab = TILE * row
    for layer in range(net.layers):
        size, depth = net.table[OUTPUTS, layer], net.table[DEPTH, layer]
        at, stride, panel = net.table[WEIGHTS, layer], net.table[STRIDE, layer], net.table[PANEL, layer]
        if net.table[WIDE, layer]:
            outer(work, (layer + 1) * slab, row, LANES, tall, up(size, LANES), work, layer * slab, row, 1,
                  w, at, stride, panel, depth, one, False)  # fmt: skip
        else:
            inner(work, (layer + 1) * slab, row, tall, size, work, layer * slab, row,
                  w, at, stride, panel, up(depth, LANES))  # fmt: skip
        if layer + 1 < net.layers:
            if net.tanh:
                for i in range(tall):
                    for j in range(size):
                        work[layer + 1, i, j] = math.tanh(work[layer + 1, i, j])
            else:
                for i in range(tall):
                    for j in range(size):
                        value = work[layer + 1, i, j]
                        work[layer + 1, i, j] = zero if value < zero else value
            for i in range(tall):
                work[layer + 1, i, size] = net.table[BIAS, layer + 1]


@lean
def judge(net: Network, data: Data, w: Reals, work: Reals, order: Ints, low: int, rows: int) -> None:
    """Gradient of every row's loss with respect to the last layer's outputs and to the time bins' intercepts."""
    one, zero = w.dtype.type(1), w.dtype.type(0)
    z, d, size = net.layers, 2 * net.layers, net.table[OUTPUTS, -1]
    for i in range(rows):
        target = data.y[0, order[low + i]]
        if net.loss == SQUARED:
            work[d, i, 0] = work[z, i, 0] - target
        elif net.loss == LOGISTIC:
            work[d, i, 0] = one / (one + math.exp(-work[z, i, 0])) - target
        elif net.loss == SOFTMAX and size == 2:
            work[d, i, 1] = one / (one + math.exp(work[z, i, 0] - work[z, i, 1]))
            work[d, i, 0] = one - work[d, i, 1]
            work[d, i, int(target)] -= one
        elif net.loss == SOFTMAX:
            most, total = work[z, i, 0], zero
            for j in range(1, size):
                most = max(most, work[z, i, j])
            for j in range(size):
                work[d, i, j] = math.exp(work[z, i, j] - most)
                total += work[d, i, j]
            for j in range(size):
                work[d, i, j] /= total
            work[d, i, int(target)] -= one
        else:
            lived, failed = int(target), data.y[1, order[low + i]]
            if net.bins:
                work[d, i, 0] = zero
                for j in range(net.bins):
                    pull = zero
                    if j <= lived:
                        risk = one / (one + math.exp(-work[z, i, 0] - w[net.baseline + j]))
                        pull = risk if j < lived else failed * (risk - one)
                    work[d + 1, i, j] = pull
                    work[d, i, 0] += pull
            else:
                for j in range(size):
                    work[d, i, j] = zero
                    if j <= lived:
                        risk = one / (one + math.exp(-work[z, i, j]))
                        work[d, i, j] = risk if j < lived else failed * (risk - one)


@lean
def backward(net: Network, w: Reals, work: Reals, tall: int) -> None:
    """Gradients of the outputs of all hidden layers, from the last layer's."""
    one, zero = w.dtype.type(1), w.dtype.type(0)
    row = work.shape[2]
    slab, first = TILE * row, net.layers + 1
    for layer in range(net.layers - 1, 0, -1):
        size, above, d = net.table[INPUTS, layer], net.table[OUTPUTS, layer], first + layer
        at, stride, panel = net.table[WEIGHTS, layer], net.table[STRIDE, layer], net.table[PANEL, layer]
        if net.table[WIDE, layer]:
            inner(work, (d - 1) * slab, row, tall, size, work, d * slab, row,
                  w, at, stride, panel, up(above, LANES))  # fmt: skip
        else:
            outer(work, (d - 1) * slab, row, LANES, tall, up(size, LANES), work, d * slab, row, 1,
                  w, at, stride, panel, above, one, False)  # fmt: skip
        if net.tanh:
            for i in range(tall):
                for j in range(size):
                    work[d - 1, i, j] *= one - work[layer, i, j] * work[layer, i, j]
        else:
            for i in range(tall):
                for j in range(size):
                    pull, value = work[d - 1, i, j], work[layer, i, j]
                    work[d - 1, i, j] = pull if value > zero else zero
        for i in range(tall):
            for j in range(size, up(size, LANES)):
                work[d - 1, i, j] = zero


@lean
def clip(net: Network, limit: float, work: Reals, rows: int) -> None:
    """Scale every row's gradient down to a norm of at most `limit`, without forming it.

    The gradient of a dense layer is an outer product, so its norm is that of the inputs times that of the outputs'
    gradient; the squares add up over layers. Goodfellow, arXiv 1510.01799.
    """
    zero, first, last = work.dtype.type(0), net.layers + 1, 2 * net.layers + 1
    for i in range(rows):
        square = zero
        for layer in range(net.layers):
            inside, outside = zero, zero
            for j in range(net.table[DEPTH, layer]):
                inside += work[layer, i, j] * work[layer, i, j]
            for j in range(net.table[OUTPUTS, layer]):
                outside += work[first + layer, i, j] * work[first + layer, i, j]
            square += inside * outside
        for j in range(net.bins):
            square += work[last, i, j] * work[last, i, j]
        if square > limit * limit:
            scale = limit / math.sqrt(square)
            for layer in range(net.layers):
                for j in range(net.table[OUTPUTS, layer]):
                    work[first + layer, i, j] *= scale
            for j in range(net.bins):
                work[last, i, j] *= scale


@lean
def collect(net: Network, target: Reals, work: Reals, rows: int, scale: np.floating) -> None:
    """Add the tile's summed gradient, times `scale`, to `target` [Q]."""
    row, last = work.shape[2], 2 * net.layers + 1
    slab = TILE * row
    for layer in range(net.layers):
        size, depth, d = net.table[OUTPUTS, layer], net.table[DEPTH, layer], (net.layers + 1 + layer) * slab
        at, stride, panel = net.table[WEIGHTS, layer], net.table[STRIDE, layer], net.table[PANEL, layer]
        if net.table[WIDE, layer]:
            outer(target, at, stride, panel, up(depth, ROWS), up(size, LANES),
                  work, layer * slab, 1, row, work, d, row, LANES, rows, scale, True)  # fmt: skip
        else:
            outer(target, at, stride, panel, up(size, ROWS), up(depth, LANES),
                  work, d, 1, row, work, layer * slab, row, LANES, rows, scale, True)  # fmt: skip
    for i in range(rows):
        for j in range(net.bins):
            target[net.baseline + j] += scale * work[last, i, j]


@lean
def differentiate(
    net: Network, data: Data, limit: float, w: Reals, work: Reals, order: Ints, low: int, rows: int
) -> None:
    """Gradients of all outputs for the rows order[low : low + rows], at most a tile."""
    tall = up(rows, ROWS)
    enter(net, data.x, order, low, rows, work)
    forward(net, w, work, tall)
    judge(net, data, w, work, order, low, rows)
    backward(net, w, work, tall)
    if limit > 0:
        clip(net, limit, work, rows)
