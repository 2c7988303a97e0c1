"""Order statistics of every coordinate over the uploads."""

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch


def columns(part: Tensor) -> NDArray[np.floating]:
    """A copy in which the values of one coordinate stand together; [M, P] or [M] -> [P, M] or [1, M]."""
    return np.array(part.numpy().reshape(len(part), -1).T, order="C")


def ascending(part: Tensor) -> NDArray[np.floating]:
    """The values of every coordinate in ascending order, NaN last; [M, P] or [M] -> [P, M] or [1, M]."""
    values = columns(part)
    values.sort(axis=1)
    return values


def middle(ordered: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median of rows in ascending order, the midpoint of the two middle values of an even number; [P, M] -> [P]."""
    count = ordered.shape[1]
    low, high = ordered[:, (count - 1) // 2], ordered[:, count // 2]
    return np.asarray(low if count % 2 else (low + high) / 2)


def mean_of(kept: NDArray[np.floating], like: Tensor) -> Tensor:
    """Mean of every coordinate, in double precision, in the shape of an aggregate of `like`; [P, m] -> [P] or []."""
    return torch.from_numpy(kept.mean(axis=1, dtype=np.float64)).to(like.dtype).reshape(like.shape[1:])
