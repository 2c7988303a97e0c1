"""The local work of the sites, one after another, in compiled loops; parameters and a tile of rows stay in the caches.

Letters as everywhere, and: `w` a site's parameters in the local layout [Q] of `sim.local.dense`, `work` what
`sim.local.backprop` writes on.
"""

from typing import NamedTuple

import numpy as np

from sim.arrays import Ints, Reals, Words
from sim.jit import lean
from sim.local.backprop import collect, differentiate
from sim.local.dense import TILE, Data, Network
from sim.local.linear import add, known, slopes
from sim.local.plan import Sites
from sim.local.shuffle import of_epoch, shuffle
from sim.local.tiles import ask

AHEAD = 256  # rows of the next site that are asked for while this one trains


class Dials(NamedTuple):
    """Numbers of a local step, in the precision of the parameters."""

    lr: float
    decay: float
    momentum: float
    clip: float


class Desk(NamedTuple):
    """Memory in which sites are trained, one after another."""

    w: Reals  # [Q] parameters
    v: Reals  # [Q] velocity
    fixed: Reals  # [Q] what every step adds to the gradient, or [0]
    kept: Reals  # [H] values of the parameters that are held
    order: Ints  # [rows] row numbers of the largest site
    work: Reals  # see `sim.local.backprop`
    places: Ints  # [TILE] where rows begin, see `sim.local.linear`
    z: Reals  # [TILE] outputs, then derivatives of the loss by them
    u: Reals  # [Q] weights of an output, or of the difference of two


def desk(net: Network, kind: np.dtype[np.floating], rows: int, held: int, fixed: bool) -> Desk:
    """Memory for sites of at most `rows` rows; whether a step adds anything fixed to the gradient."""
    w, v, u = (np.zeros(net.size, kind) for _ in range(3))
    work = np.zeros((2 * net.layers + 2, TILE, net.row), kind)
    places, z = np.zeros(TILE, np.int64), np.zeros(TILE, kind)
    ends = np.zeros(net.size if fixed else 0, kind)
    return Desk(w, v, ends, np.zeros(held, kind), np.zeros(rows, np.int64), work, places, z, u)


@lean
def site(
    net: Network,
    data: Data,
    dials: Dials,
    pull: np.floating,
    begin: int,
    steps: int,
    width: int,
    start: int,
    following: int,
    ahead: int,
    word: np.uint64,
    hold: Ints,
    rows: int,
    desk: Desk,
) -> None:
    """Local steps `begin` to before `begin + steps` of a site: `w -= lr (g + (pull + decay) w + fixed)`, on the desk.

    width rows of a batch; start first row of `rows`; fixed = drift - pull x, or empty; hold: places of w that are not
    changed. The `ahead` rows from `following` on, which belong to the next site, are prefetched evenly meanwhile,
    because memory is slower than the steps of a small network.
    """
    w, v, fixed, kept, order, work, places, z, u = desk
    one = w.dtype.type(1)
    lr, shrink, momentum = dials.lr, pull + dials.decay, dials.momentum
    order, now = order[:rows], -1
    batches = (rows + width - 1) // width
    straight = momentum == 0 and min(width, rows) <= TILE
    linear = known(net) and straight and dials.clip == 0
    v[:] = 0
    for p in range(len(hold)):
        kept[p] = w[hold[p]]
    share, asked = (ahead + max(steps, 1) - 1) // max(steps, 1), 0
    for step in range(begin, begin + steps):
        some = min(share, ahead - asked)
        if not linear:
            ask(data.x, following + asked, some)
        if step // batches != now:
            now = step // batches
            shuffle(order, start, of_epoch(word, now))
        low = step % batches * width
        size = min(width, rows - low)
        if straight:
            # One tile and nothing to remember: the gradient goes straight into the parameters.
            if linear:
                slopes(net, data, w, order, low, size, places, z, u, following + asked, some)
            else:
                differentiate(net, data, dials.clip, w, work, order, low, size)
            if shrink > 0:
                for p in range(len(w)):
                    w[p] *= one - lr * shrink
            for p in range(len(fixed)):
                w[p] -= lr * fixed[p]
            scale = -lr / w.dtype.type(size)
            if linear:
                add(net, w, size, data.x, places, z, scale)
            else:
                collect(net, w, work, size, scale)
        else:
            for p in range(len(v)):
                v[p] = momentum * v[p] + shrink * w[p]
            for p in range(len(fixed)):
                v[p] += fixed[p]
            for tile in range(low, low + size, TILE):
                part = min(TILE, low + size - tile)
                differentiate(net, data, dials.clip, w, work, order, tile, part)
                collect(net, v, work, part, one / w.dtype.type(size))
            for p in range(len(w)):
                w[p] -= lr * v[p]
        asked += some
        for p in range(len(hold)):
            w[hold[p]] = kept[p]


@lean
def sites(
    net: Network,
    data: Data,
    dials: Dials,
    pull: Reals,
    at: Sites,
    begin: Ints,
    word: Words,
    width: int,
    hold: Ints,
    w: Reals,
    drift: Reals,
    desk: Desk,
) -> None:
    """Local steps of C sites, one after another; w [C, P] from the models they downloaded to those they trained.

    pull, begin, word [C], see `sim.local.shuffle`; width rows of a batch, 0 for all; hold: places in the local layout
    that are not changed; drift [C, P] or [0, P].
    """
    local, fixed = desk.w, desk.fixed
    for c in range(len(w)):
        for p in range(len(net.place)):
            local[net.place[p]] = w[c, p]
        if len(fixed) > 0:
            for p in range(len(net.place)):
                fixed[net.place[p]] = (drift[c, p] if len(drift) > 0 else w.dtype.type(0)) - pull[c] * w[c, p]
        following, rows = (at.start[c + 1], at.rows[c + 1]) if c + 1 < len(w) else (at.start[c], 0)
        wide = width if width > 0 else at.rows[c]
        site(
            net,
            data,
            dials,
            pull[c],
            begin[c],
            at.steps[c],
            wide,
            at.start[c],
            following,
            min(rows, AHEAD),
            word[c],
            hold,
            at.rows[c],
            desk,
        )
        for p in range(len(net.place)):
            w[c, p] = local[net.place[p]]
