"""Dense networks in the form of the fused tier: a table of layers, and the place of every parameter during training.

A column of ones follows each layer's inputs, so that a bias is a row of the weights like any other.
Rows and columns are padded with zeros, which stay zero: a padded weight gets no input, a padded unit no gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.arrays import Ints, Reals
from sim.lazy import torch
from sim.tasks.closed import Loss, loss_of
from sim.tasks.layout import frozen
from sim.tasks.task import Task

TILE = 64  # rows of a batch that are worked on at once, so that all they need stays in the nearest caches
FEW = 8  # outputs from which a layer's weights are kept inputs by outputs, so that outputs fill vectors


def padded(size: Ints, to: int) -> Ints:
    """The next multiples."""
    return -(-size // to) * to


# Rows of Network.table: inputs I, 1 for a bias, their sum, outputs O, 1 for weights [I + bias, O] and 0 for
# [O, I + bias], where the weights begin in the local vector, the distance of their rows, and that from LANES columns to
# the next: wide weights lie in panels of LANES columns, one after the other, so that a large layer is read in order.
INPUTS, BIAS, DEPTH, OUTPUTS, WIDE, WEIGHTS, STRIDE, PANEL = range(8)


class Data(NamedTuple):
    """Rows of all sites."""

    x: Reals  # [R, D]
    y: Reals  # [T, R] targets, see `sim.tasks.closed.Loss`


class Network(NamedTuple):
    """A network and loss that the fused tier supports, in the form that compiled loops need."""

    table: Ints  # [8, L] what is known of each layer, by the numbers above
    layers: int  # L
    place: Ints  # [P] where parameter p lies in the local vector
    size: int  # Q, length of the local vector
    row: int  # columns of the workspace: the widest layer and its one
    tanh: bool  # activation between layers: tanh, else ReLU
    loss: int  # a Loss
    bins: int  # time bins that have intercepts of their own, which end the local vector
    baseline: int  # where they begin


def network(task: Task) -> Network | str:
    """The network of a task, or the reason why the fused tier does not support it."""
    from sim.tasks.proportional import Proportional

    loss = loss_of(type(task).row_loss)
    if loss is None or type(task).loss is not Task.loss:
        return f"the loss of {type(task).__name__} has no closed form here"
    module = task.module
    bins = len(module.baseline.weight) if isinstance(module, Proportional) else 0
    net = module.net if isinstance(module, Proportional) else module
    parts = list(net) if type(net) is torch.nn.Sequential else [net]
    linear = [part for part in parts[::2] if type(part) is torch.nn.Linear]
    between = {type(part) for part in parts[1::2]}
    chain = len(parts) == 2 * len(linear) - 1 and (between <= {torch.nn.ReLU} or between <= {torch.nn.Tanh})
    if not chain or (bins and loss is not Loss.hazard):
        return f"{type(net).__name__} is not a chain of nn.Linear with ReLU or Tanh between them"
    if any(changed(part) for part in module.modules()):
        return f"{type(net).__name__} has hooks or a forward of its own"
    if frozen(module):
        return f"{type(net).__name__} has frozen parameters"
    made = arrange(linear, between == {torch.nn.Tanh}, loss, bins)
    return made if len(made.place) == task.layout.size else f"{type(net).__name__} uses a layer twice"


def changed(part: torch.nn.Module) -> bool:
    """Whether a module does more than its class says."""
    return bool(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks) or "forward" in vars(part)


def arrange(chain: list[torch.nn.Linear], tanh: bool, loss: Loss, bins: int) -> Network:
    """Compute the layout."""
    from sim.local.tiles import LANES, ROWS

    inputs = np.array([part.in_features for part in chain])
    outputs = np.array([part.out_features for part in chain])
    bias = np.array([int(part.bias is not None) for part in chain])
    depth, wide = inputs + bias, (outputs >= FEW).astype(np.int64)
    tall = padded(np.where(wide, depth, outputs), ROWS)
    across = padded(np.where(wide, outputs, depth), LANES)
    stride, panel = np.where(wide, LANES, across), np.where(wide, tall * LANES, LANES)
    ends = np.cumsum(tall * across)
    weights, size = ends - tall * across, int(ends[-1])
    place = []
    for layer in range(len(chain)):
        unit, feature = np.arange(outputs[layer])[:, None], np.arange(depth[layer])
        down, along = (feature, unit) if wide[layer] else (unit, feature)
        block, rest = along // LANES, along % LANES
        at = weights[layer] + down * stride[layer] + block * panel[layer] + rest  # [O, I + bias]
        place += [at[:, : inputs[layer]].ravel(), at[:, inputs[layer] :].ravel()]
    place.append(size + np.arange(bins))
    row = int(padded(np.array([bins, *(inputs + 1), *(outputs + 1)]), LANES).max())
    table = np.stack([inputs, bias, depth, outputs, wide, weights, stride, panel])
    return Network(table, len(chain), np.concatenate(place), size + bins, row, tanh, int(loss), bins, size)
