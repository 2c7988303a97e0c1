"""Scoring models on held-out rows: predictions first, then the metrics of every site and split at once."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from sim.federation import Federation
from sim.local.rows import Rows
from sim.metrics.segments import segment_mean
from sim.tasks.task import Task

BLOCK_ROWS = 65_536  # rows scored at once; fixed, since a product's last bit may depend on its shape


class Rated(NamedTuple):
    """What a model says of N rows."""

    score: NDArray[np.float64]  # [N]
    loss: NDArray[np.float64]  # [N]


@dataclass(frozen=True)
class Held:
    """Held-out rows, site after site; segment = site * len(splits) + split."""

    splits: tuple[str, ...]
    row: NDArray[np.int64]  # [N] ascending
    site: NDArray[np.int64]  # [N]
    segment: NDArray[np.int64]  # [N]
    segments: int

    @classmethod
    def of(cls, federation: Federation, splits: tuple[str, ...]) -> "Held":
        """Rows of these splits of all sites."""
        parts = [federation.held(split) for split in splits]
        row = np.concatenate([row for row, _ in parts])
        site = np.concatenate([site for _, site in parts])
        split = np.repeat(np.arange(len(splits)), [len(row) for row, _ in parts])
        order = np.argsort(row)
        segment = site * len(splits) + split
        return cls(splits, row[order], site[order], segment[order], len(federation.sites) * len(splits))

    @property
    def blocks(self) -> list[NDArray[np.int64]]:
        """Row numbers in blocks that do not depend on who scores them."""
        return [self.row[low : low + BLOCK_ROWS] for low in range(0, len(self.row), BLOCK_ROWS)]


def rate(task: Task, rows: Rows, model: Tensor, row: NDArray[np.int64]) -> Rated:
    """Score and loss of rows under one model; [P], [N]."""
    score, loss = task.rate(model, *rows.take(row))
    return Rated(score.double().numpy(), loss.double().numpy())


def rate_own(task: Task, rows: Rows, models: Tensor, held: Held) -> Rated:
    """Score and loss of every held-out row under its own site's model; [S, P]."""
    score, loss = np.empty(len(held.row)), np.empty(len(held.row))
    own = vmap(task.rate)
    size = np.bincount(held.site, minlength=len(models))
    first = np.cumsum(size) - size
    by_size = np.argsort(-size, kind="stable")
    width = np.maximum(size, 1)
    for chunk in np.split(by_size, np.flatnonzero(np.diff(np.cumsum(width[by_size]) // BLOCK_ROWS)) + 1):
        chunk = chunk[size[chunk] > 0]
        if not len(chunk):
            continue
        column = np.arange(size[chunk].max())
        place = first[chunk, None] + np.minimum(column, size[chunk, None] - 1)
        real = column < size[chunk, None]
        rated = own(models[torch.from_numpy(chunk)], *rows.take(held.row[place]))
        for target, part in zip((score, loss), rated, strict=True):
            target[place[real]] = part.double().numpy()[real]
    return Rated(score, loss)


def measure(task: Task, federation: Federation, held: Held, rated: Rated) -> dict[str, NDArray[np.float64]]:
    """Loss and the task's metrics of every segment; name -> [G]."""
    y = {name: values[held.row] for name, values in federation.y.items()}
    loss = segment_mean(rated.loss, held.segment, held.segments)
    return {"loss": loss, **task.metrics(rated.score, y, held.segment, held.segments)}
