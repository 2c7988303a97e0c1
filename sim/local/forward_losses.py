"""Losses of dense networks over all training rows of a site, in compiled loops; letters as in `sim.local.kernel`."""

import math

import numpy as np

from sim.arrays import Floats, Ints, Reals
from sim.jit import fast
from sim.local.backprop import LOGISTIC, SOFTMAX, SQUARED, enter, forward, up
from sim.local.dense import OUTPUTS, TILE, Data, Network
from sim.local.tiles import ROWS


@fast
def softplus(z: float) -> float:
    """log(1 + exp(z)), without overflow."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


@fast
def row_loss(net: Network, data: Data, w: Reals, work: Reals, row: int, i: int) -> float:
    """Loss of one row, whose outputs are work[L, i]; see `sim.tasks.closed.Loss`."""
    z, size, target = net.layers, net.table[OUTPUTS, -1], data.y[0, row]
    if net.loss == SQUARED:
        return 0.5 * (float(work[z, i, 0]) - float(target)) ** 2
    if net.loss == LOGISTIC:
        return softplus(float(work[z, i, 0])) - float(target) * float(work[z, i, 0])
    total = 0.0
    if net.loss == SOFTMAX:
        own = float(work[z, i, int(target)])
        most = own
        for j in range(size):
            most = max(most, float(work[z, i, j]))
        for j in range(size):
            total += math.exp(float(work[z, i, j]) - most)
        return math.log(total) + most - own
    lived, failed = int(target), float(data.y[1, row])
    bins = net.bins if net.bins > 0 else size
    for j in range(min(lived + 1, bins)):
        logit = float(work[z, i, 0]) + float(w[net.baseline + j]) if net.bins > 0 else float(work[z, i, j])
        total += softplus(logit) if j < lived else failed * softplus(-logit)
    return total


@fast
def site_losses(net: Network, data: Data, start: Ints, size: Ints, models: Reals, loss: Floats) -> None:
    """Mean loss of C sites over rows start to before start + size, under models [C, P], into loss [C]."""
    w = np.zeros(net.size, models.dtype)
    work = np.zeros((2 * net.layers + 2, TILE, net.row), models.dtype)
    order = np.empty(size.max() if len(size) > 0 else 0, np.int64)
    for c in range(len(models)):
        for p in range(len(net.place)):
            w[net.place[p]] = models[c, p]
        for i in range(size[c]):
            order[i] = start[c] + i
        total = 0.0
        for low in range(0, size[c], TILE):
            rows = min(TILE, size[c] - low)
            enter(net, data.x, order[: size[c]], low, rows, work)
            forward(net, w, work, up(rows, ROWS))
            for i in range(rows):
                total += row_loss(net, data, w, work, order[low + i], i)
        loss[c] = total / max(size[c], 1)
