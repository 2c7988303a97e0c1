"""DP-SGD at the sites: Poisson-sampled batches, and noise on the sum of clipped gradients."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.local.plan import Sites, Step, rung
from sim.local.settings import Training
from sim.local.shuffle import each
from sim.random import counted, gaussian, key, scatter, uniform


def nominal(rows: NDArray[np.int64], training: Training) -> NDArray[np.int64]:
    """Average batch size, [C] -> [C], by which the sum of clipped gradients is divided."""
    return np.minimum(training.batch or rows, rows)


def poisson_steps(sites: Sites, training: Training, seed: int, round: int, begin: NDArray[np.int64]) -> Iterator[Step]:
    """Local steps whose batches hold every row independently with probability `nominal / rows`; some may be empty.

    After the first `begin` of each site [C], which an earlier phase took.
    """
    chance = nominal(sites.rows, training) / sites.rows
    word = scatter(key(seed, "poisson", round), sites.keys)
    mean, most = chance * sites.rows, int(sites.rows.max())
    usual = int(np.ceil(mean + 4 * np.sqrt(mean * (1 - chance))).max())  # one width for nearly all steps: one trace
    for step in range(int(sites.steps.max())):
        active = int(np.searchsorted(-sites.steps, -step, side="left"))
        count = rung(active, len(sites.rows))
        now = np.maximum(begin[:count] + np.minimum(step, sites.steps[:count] - 1), 0)
        drawn = [
            np.flatnonzero(uniform(counted(one, np.arange(rows))) < share)
            for one, rows, share in zip(each(word[:count], now), sites.rows, chance, strict=False)
        ]
        column = np.arange(rung(max(usual, *map(len, drawn)), most))
        row = np.repeat(sites.start[:count, None], len(column), axis=1)
        for at, some in enumerate(drawn):
            row[at, : len(some)] += some
        yield Step(active, row, column < np.array([len(some) for some in drawn])[:, None])


@dataclass(frozen=True)
class Noised:
    """Adds noise to the mean clipped gradients of C sites: `(sum clip_C(g_r) + N(0, (z C)^2 I)) / B`.

    Abadi et al., Deep Learning with Differential Privacy, CCS 2016, with B the nominal batch size, so that only the
    noisy sum depends on the rows that were drawn.
    """

    size: Tensor  # [C] nominal sizes B
    deviation: float  # z C
    word: NDArray[np.uint64]  # [C]
    begin: NDArray[np.int64]  # [C] steps that earlier phases took

    @classmethod
    def of(cls, sites: Sites, training: Training, seed: int, round: int, begin: NDArray[np.int64]) -> "Noised":
        """The noise of a round, independent for every site and step."""
        word = scatter(key(seed, "local noise", round), sites.keys)
        size = torch.from_numpy(nominal(sites.rows, training).astype(np.float64))
        return cls(size, training.noise * training.clip, word, begin)

    def __call__(self, mean: Tensor, step: Step, number: int) -> Tensor:
        """The released gradients from the means over a step's valid rows; [stacked, P] -> [stacked, P]."""
        stacked, size = len(mean), self.size[: len(mean)].to(mean.dtype)
        rows = torch.from_numpy(step.valid.sum(1)).to(mean.dtype)
        word, place = each(self.word[:stacked], self.begin[:stacked] + number), np.arange(mean.shape[1])
        normal = gaussian(*(uniform(counted(word[:, None], 2 * place[None] + part)) for part in (0, 1)))
        noise = self.deviation * torch.from_numpy(normal).to(mean.dtype)
        return (mean * rows[:, None] + noise) / size[:, None]
