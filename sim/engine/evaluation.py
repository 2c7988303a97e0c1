"""Evaluation of models on held-out rows: predictions first, then the metrics of every site and split at once."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.local.rows import Rows, view
from sim.tasks.task import OutcomeColumns, Task

PART_ROWS = 65_536  # held-out rows judged at once; fixed, since a product's last bit may depend on its shape

Metrics = dict[str, NDArray[np.float64]]  # name -> [S * splits]


class Rated(NamedTuple):
    """Predictions of a model for N rows."""

    score: NDArray[np.float64]  # [N], or [N, K] with one a class
    loss: NDArray[np.float64]  # [N]


@dataclass(frozen=True)
class Held:
    """Held-out rows, site after site; segment = (site - sites[0]) * len(splits) + split."""

    splits: tuple[str, ...]
    sites: tuple[int, int]  # the first, and one after the last
    row: NDArray[np.int64]  # [N] ascending
    segment: NDArray[np.int64]  # [N]
    y: OutcomeColumns = field(repr=False)  # columns of the outcome, each [N]

    @classmethod
    def of(cls, federation: Federation, splits: tuple[str, ...]) -> "Held":
        """Rows of these splits of all sites."""
        parts = [federation.held(split) for split in splits]
        row = np.concatenate([row for row, _ in parts])
        split = np.repeat(np.arange(len(splits)), [len(row) for row, _ in parts])
        segment = np.concatenate([site for _, site in parts]) * len(splits) + split
        order = np.argsort(row, kind="stable")
        y = {name: column[row[order]] for name, column in federation.y.items()}
        return cls(splits, (0, len(federation.sites)), row[order], segment[order], y)

    @property
    def segments(self) -> int:
        """Splits of all sites, G."""
        return (self.sites[1] - self.sites[0]) * len(self.splits)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of every segment, [G]."""
        return np.bincount(self.segment, minlength=self.segments)

    @property
    def empty(self) -> "Held":
        """No rows, of the same kinds."""
        return Held(self.splits, (0, 0), self.row[:0], self.segment[:0], {name: y[:0] for name, y in self.y.items()})

    def parts(self) -> list["Held"]:
        """Groups of whole sites with about PART_ROWS rows, independent of the processes that evaluate them."""
        if not len(self.row):
            return []
        width = len(self.splits)
        site = np.cumsum(self.counts.reshape(-1, width).sum(1))  # [S] rows up to and with each site
        number = np.maximum(site - 1, 0) // PART_ROWS  # first sites without rows are no run of their own
        begins = np.r_[0, np.flatnonzero(np.diff(number)) + 1, len(site)]
        ends = np.r_[0, site][begins]
        return [
            Held(
                self.splits,
                (int(low), int(high)),
                self.row[first:last],
                self.segment[first:last] - low * width,
                {name: column[first:last] for name, column in self.y.items()},
            )
            for low, high, first, last in zip(begins, begins[1:], ends, ends[1:], strict=False)
        ]


def rate(task: Task, rows: Rows, model: Tensor, row: NDArray[np.int64]) -> Rated:
    """Score and loss of rows under one model; [P], [N]."""
    score, loss = task.rate(model, *rows.take(row))
    return Rated(score.double().numpy(), loss.double().numpy())


def rate_own(task: Task, rows: Rows, models: Tensor, held: Held) -> Rated:
    """Score and loss of every held-out row under its own site's model; [S, P], a row for each of `held.sites`."""
    score, loss = np.empty((len(held.row), *task.scores)), np.empty(len(held.row))
    own = torch.func.vmap(task.rate)
    size = held.counts.reshape(-1, len(held.splits)).sum(1)
    first = np.cumsum(size) - size
    by_size = np.argsort(-size, kind="stable")
    width = np.maximum(size, 1)
    for chunk in np.split(by_size, np.flatnonzero(np.diff(np.cumsum(width[by_size]) // PART_ROWS)) + 1):
        chunk = chunk[size[chunk] > 0]
        if not len(chunk):
            continue
        column = np.arange(size[chunk].max())
        place = first[chunk, None] + np.minimum(column, size[chunk, None] - 1)
        real = column < size[chunk, None]
        rated = own(models[view(chunk)], *rows.take(held.row[place]))
        for target, part in zip((score, loss), rated, strict=True):
            target[place[real]] = part.double().numpy()[real]
    return Rated(score, loss)


def measure(task: Task, held: Held, rated: Rated) -> Metrics:
    """Loss and the task's metrics of every segment; name -> [G]."""
    loss = task.segment_loss(rated.score, rated.loss, held.y, held.segment, held.segments)
    return {"loss": loss, **task.metrics(rated.score, held.y, held.segment, held.segments)}


def join(parts: list[Metrics]) -> Metrics:
    """Metrics of all sites from those of groups of sites."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
