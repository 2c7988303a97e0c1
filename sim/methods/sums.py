"""Sums over uploads and their lengths, in double precision; the uploads are read as they are, and not copied."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Reals
from sim.jit import fast
from sim.lazy import Tensor, torch


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """Read-only view, as the object store's arrays are: one type for compiled loops, one compilation."""
    seen = np.ascontiguousarray(array).view()
    seen.flags.writeable = False
    return seen


def weighted(weight: Floats, part: Tensor) -> Floats:
    """Sum of weight times upload, in the order of the uploads; [M], [M, P] or [M] -> [P] or [].

    An upload of weight zero is left out, even where it is no number.
    """
    rows = fixed(part.numpy().reshape(len(part), -1))
    return np.asarray(weighted_rows(weight, rows).reshape(part.shape[1:]))


def summed(part: Tensor, p: Tensor) -> Tensor:
    """`sum p_i u_i`; [M, P] or [M], p [M] -> [P] or []."""
    return torch.from_numpy(weighted(p.double().numpy(), part))


def lengths(parts: Sequence[Tensor], centres: Sequence[Tensor] | None = None) -> Tensor:
    """Distance of every upload from a point, or from zero, over some vectors end to end; each [M, P], [P] -> [M].

    An upload that is no number lies infinitely far away.
    """
    square = np.zeros(len(parts[0]))
    for number, part in enumerate(parts):
        centre = np.zeros(part.shape[1]) if centres is None else centres[number].double().numpy()
        add_squares(fixed(part.numpy()), fixed(centre), square)
    return torch.from_numpy(np.where(np.isnan(square), np.inf, np.sqrt(square)))


@fast
def weighted_rows(weight: Floats, part: Reals) -> Floats:
    """Sum of weight [M] times part [M, P]; [P]."""
    total = np.zeros(part.shape[1])
    for c in range(len(part)):
        if weight[c] != 0:
            for p in range(part.shape[1]):
                total[p] += weight[c] * part[c, p]
    return total


@fast
def add_squares(part: Reals, centre: Floats, square: Floats) -> None:
    """Add the squared distance of every row [M, P] from a point [P] to `square` [M]."""
    for c in range(len(part)):
        found = 0.0
        for p in range(part.shape[1]):
            away = part[c, p] - centre[p]
            found += away * away
        square[c] += found
