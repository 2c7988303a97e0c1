"""The fused tier: the whole local work of a site in one compiled call."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch
from sim.local.dense import Data, Network
from sim.local.plan import Sites, words
from sim.local.rows import Rows
from sim.local.settings import Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local, Phase
from sim.methods.sums import fixed, weighted_rows


@dataclass(frozen=True)
class Fused:
    """Trains sites of a dense network one after another, reading their rows in place."""

    network: Network
    training: Training
    seed: int
    data: Data

    @classmethod
    def over(cls, rows: Rows, network: Network, training: Training, seed: int) -> "Fused":
        """A trainer over a federation's rows. All arrays are read-only, as in the object store: one compilation."""
        y = np.stack([column.numpy() for column in rows.y.values()])
        return cls(network, training, seed, Data(fixed(rows.x.numpy()), fixed(y)))

    def train(self, algorithm: Algorithm, at: Local, phases: Sequence[Phase], sites: Sites, round: int) -> Tensor:
        """Models of C sites after their local steps from `at.start`; [C, P]."""
        w = at.start.clone(memory_format=torch.contiguous_format)
        word, begin = words(sites, self.seed, round), np.zeros(len(w), dtype=np.int64)
        for phase in phases:
            correction = phase.correction
            anchor = at.x if correction.anchor is None else correction.anchor
            if begin.any() or anchor is not at.start:
                # The kernel pulls towards where the phase begins: pull (w - anchor) = pull (w - v) + pull (v - anchor).
                correction = moved(correction, w - anchor)
            steps = phase.steps.numpy().astype(np.int64)
            hold = self.network.place[:0] if phase.moves is None else self.network.place[~phase.moves.numpy()]
            self.run(w.numpy(), sites._replace(steps=steps), word, at.lr, correction, begin, hold)
            begin = begin + steps
        return w

    def ready(self) -> None:
        """Compile, or load the compiled code."""

        none, word = np.zeros(0, np.int64), np.zeros(0, np.uint64)
        w = np.zeros((0, len(self.network.place)), self.data.x.dtype)
        self.run(w, Sites(none, none, none, word), word, 1.0, Correction(), none, none)
        weighted_rows(np.zeros(0), fixed(w))
        self.losses(torch.from_numpy(w), none, none)

    def losses(self, models: Tensor, start: NDArray[np.int64], size: NDArray[np.int64]) -> Tensor:
        """Loss of C sites; models [C, P], the first training row and the number of them [C] -> [C]."""
        from sim.local.forward_losses import site_losses

        loss = np.zeros(len(models))
        given = fixed(models.numpy())
        site_losses(self.network, self.data, fixed(start), fixed(size), given, loss)
        return torch.from_numpy(loss).to(models.dtype)

    def run(
        self,
        w: NDArray[np.floating],
        sites: Sites,
        word: NDArray[np.uint64],
        lr: float,
        correction: Correction,
        begin: NDArray[np.int64],
        hold: NDArray[np.int64],
    ) -> None:
        """Local steps of C sites, after the first `begin` [C]; changes w [C, P] in place, except places `hold`."""
        from sim.local import kernel

        training = self.training
        pull = np.ascontiguousarray(np.broadcast_to(np.asarray(correction.pull, dtype=w.dtype), len(w)))
        numbers = np.array([lr, training.weight_decay, training.momentum, training.clip], dtype=w.dtype)
        drift = w[:0] if correction.drift is None else np.ascontiguousarray(correction.drift.numpy())
        at = sites._replace(steps=np.array(sites.steps))  # an order that has travelled is read only
        fixed = len(drift) > 0 or pull.max(initial=0) > 0
        desk = kernel.desk(self.network, w.dtype, sites.rows.max(initial=0), len(hold), fixed)
        dials, batch = kernel.Dials(*numbers), training.batch
        kernel.sites(self.network, self.data, dials, pull, at, begin, word, batch, hold, w, drift, desk)


def moved(correction: Correction, way: Tensor) -> Correction:
    """The same correction with an anchor moved by `way`; [C, P]."""
    pull = correction.pull
    if not isinstance(pull, Tensor) and not pull:
        return correction
    drift = (pull[:, None] if isinstance(pull, Tensor) else pull) * way
    return correction._replace(drift=drift if correction.drift is None else correction.drift + drift)
