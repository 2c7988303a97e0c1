"""The fused tier: the whole local work of a site in one compiled call."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.local import kernel
from sim.local.backprop import Data
from sim.local.dense import Network
from sim.local.plan import Sites, words
from sim.local.rows import Rows
from sim.local.settings import Training
from sim.methods.algorithms.base import Algorithm, Correction, Local


@dataclass(frozen=True)
class Fused:
    """Trains sites of a dense network one after another, reading their rows in place."""

    network: Network
    training: Training
    seed: int
    data: Data

    @classmethod
    def over(cls, rows: Rows, network: Network, training: Training, seed: int) -> "Fused":
        """Over a federation's rows. All arrays are read only, as the object store's are: one type, one compilation."""
        y = np.stack([column.numpy() for column in rows.y.values()])
        return cls(network, training, seed, Data(fixed(rows.x.numpy()), fixed(y)))

    def train(self, algorithm: Algorithm, at: Local, sites: Sites, round: int) -> Tensor:
        """Models of C sites after their local steps from `at.x`; [C, P]."""
        correction = algorithm.correction(at)
        w = at.x.clone(memory_format=torch.contiguous_format)
        self.run(w.numpy(), sites, words(sites, self.seed, round), at.lr, correction)
        return w

    def ready(self) -> None:
        """Compile, or load what was compiled before."""
        none, word = np.zeros(0, np.int64), np.zeros(0, np.uint64)
        w = np.zeros((0, len(self.network.place)), self.data.x.dtype)
        self.run(w, Sites(none, none, none, word), word, 1.0, Correction())
        kernel.weighted(np.zeros(0), fixed(w))

    def run(
        self, w: NDArray[np.floating], sites: Sites, word: NDArray[np.uint64], lr: float, correction: Correction
    ) -> None:
        """Local steps of C sites; w [C, P] in place."""
        training = self.training
        numbers = np.array(
            [lr, correction.pull, training.weight_decay, training.momentum, training.clip], dtype=w.dtype
        )
        drift = w[:0] if correction.drift is None else np.ascontiguousarray(correction.drift.numpy())
        at = sites._replace(steps=np.array(sites.steps))  # an order that has travelled is read only
        kernel.sites(self.network, self.data, kernel.Dials(*numbers), at, word, training.batch, w, drift)


def fixed(array: NDArray[np.floating]) -> NDArray[np.floating]:
    """Read-only view."""
    seen = np.ascontiguousarray(array).view()
    seen.flags.writeable = False
    return seen


def weighted(weight: NDArray[np.float64], part: Tensor) -> NDArray[np.float64]:
    """Sum over sites of weight times message, in double precision and in order; [C], [C, P] or [C] -> [P] or []."""
    rows = fixed(part.numpy().reshape(len(part), -1))
    return np.asarray(kernel.weighted(weight, rows).reshape(part.shape[1:]))
