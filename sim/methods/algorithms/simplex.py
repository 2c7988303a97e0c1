"""Weights of sites as points of the simplex: storage, and projection under bounds."""

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.lazy import Tensor, torch
from sim.methods.contract import Heard, State

KEPT = "weight"  # name under which the server keeps the weight of each site, shape "S"
STEPS, GAP = 2000, 1e-15  # most steps of the search for the least norm, and the gap at which it ends
TRY = 20  # steps between two looks at whether it is over


def kept_weights(base: Tensor, state: State) -> Tensor:
    """The weights that the server kept after the last update, or before the first those of the experiment; [S]."""
    kept = state[KEPT].double().clamp_min(0.0)
    return kept if bool(kept.sum() > 0) else base


def keep(weights: Tensor, heard: Heard, state: State) -> State:
    """State of the server with new weights of the sites that were heard, [M]."""
    new = torch.zeros_like(state[KEPT])
    new[torch.from_numpy(heard.sites)] = weights.to(new.dtype)
    return {KEPT: new}


def nearest(point: Floats, low: Floats, high: Floats) -> Floats:
    """The nearest point with sum 1 and low <= lambda <= high; [M]. With 0 and 1 this is the projection to the simplex.

    It is `clip(point - tau, low, high)` with the tau at which the sum is 1 (Duchi et al., ICML 2008): the sum falls
    with tau and bends only where an entry meets a bound.
    """
    bends = np.sort(np.concatenate([point - low, point - high]))
    sums = np.clip(point[None] - bends[:, None], low, high).sum(1)
    after = int(np.clip(np.searchsorted(-sums, -1.0), 1, len(bends) - 1))
    fall = sums[after - 1] - sums[after]
    part = (sums[after - 1] - 1.0) / fall if fall > 0 else 0.0
    tau = bends[after - 1] + part * (bends[after] - bends[after - 1])
    return np.asarray(np.clip(point - tau, low, high))


def least_norm(gram: Floats, start: Floats, low: Floats, high: Floats) -> Floats:
    """The point of least `lambda' G lambda` with sum 1 and low <= lambda <= high, from a start among these; [M].

    Accelerated projected descent (Nesterov 1983, restarted: O'Donoghue and Candes 2015), and every TRY steps a linear
    solve among the entries that no bound holds, which ends it where these are the right ones.
    """
    rate = max(float(np.linalg.eigvalsh(gram)[-1]), 1e-300)
    here = ahead = start
    momentum = 1.0
    for step in range(1, STEPS + 1):
        new = nearest(ahead - gram @ ahead / rate, low, high)
        later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        if (ahead - new) @ (new - here) > 0:
            later, ahead = 1.0, new
        else:
            ahead = new + (momentum - 1) / later * (new - here)
        here, momentum = new, later
        if step % TRY == 0:
            exact = solved(gram, here, low, high)
            if gap(gram, exact, low, high) <= GAP:
                return exact
    exact = solved(gram, here, low, high)
    return exact if gap(gram, exact, low, high) <= gap(gram, here, low, high) else here


def gap(gram: Floats, here: Floats, low: Floats, high: Floats) -> float:
    """By how much at most half the squared norm could still fall (Frank and Wolfe 1956)."""
    slope = gram @ here
    order = np.argsort(slope, kind="stable")
    room = np.cumsum((high - low)[order])
    best = low.copy()
    best[order] += np.diff(np.minimum(room, 1.0 - low.sum()), prepend=0.0)
    return float(slope @ (here - best))


def solved(gram: Floats, here: Floats, low: Floats, high: Floats) -> Floats:
    """The least norm where entries at a bound stay there, put back between the bounds; [M]."""
    free: NDArray[np.bool_] = (here > low + 1e-7) & (here < high - 1e-7)
    held = np.where(here - low < high - here, low, high)[~free]
    count = int(free.sum())
    if not count:
        return here
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = gram[np.ix_(free, free)]
    system[count, count] = 0.0
    right = np.append(-gram[np.ix_(free, ~free)] @ held, 1.0 - held.sum())
    exact = here.copy()
    exact[~free] = held
    exact[free] = np.linalg.lstsq(system, right, rcond=None)[0][:count]
    return nearest(exact, low, high)
