"""Settings of local training."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, within


class Tier(Enum):
    """How local steps are computed; all give the same models to rounding."""

    auto = "auto"  # the fastest that can
    fused = "fused"  # compiled loops, one site after another with its parameters in cache; dense networks only
    stacked = "stacked"  # many sites as one batched tensor computation; any module
    single = "single"  # tensors again, one site at a time; for models of more than about 100,000 parameters


class Optimizer(Enum):
    """Rule of the local steps."""

    sgd = "sgd"
    adam = "adam"  # weight decay is part of the gradient
    adamw = "adamw"  # weight decay apart from the gradient


class OptimizerState(Enum):
    """Whether a site's optimiser is kept between rounds; it is never sent."""

    reset = "reset"  # the optimiser restarts in every round
    keep = "keep"  # the site keeps it for its next round


class Sampling(Enum):
    """How batches are drawn."""

    shuffle = "shuffle"  # in shuffled order, all rows once per epoch
    poisson = "poisson"  # every row independently, so that batch sizes vary, as DP-SGD's epsilon assumes


@dataclass
class Training:
    """The `local` config group: steps on mini-batches drawn without replacement within an epoch.

    With `noise` above 0 it is DP-SGD (Abadi et al., CCS 2016): the sum of clipped gradients gets Gaussian noise with
    standard deviation `noise * clip` and is divided by the nominal batch size.
    """

    lr: float = 0.1  # > 0
    decay: float = 1.0  # (0, 1], factor on lr each round (Acar et al. 2021 use 0.998)
    epochs: int = 1  # >= 1, passes over the site's rows in a round; used when steps = 0
    steps: int = 0  # >= 0, local steps per round, independent of the site's size (FLamby uses 100)
    batch: int = 32  # >= 0 rows; 0 = all rows of the site
    momentum: float = 0.0  # [0, 1)
    weight_decay: float = 0.0  # >= 0, of weight_decay/2 |w|^2 in the site's objective; adamw: apart
    optimizer: Optimizer = Optimizer.sgd
    b1: float = 0.9  # [0, 1), memory of the mean; adam, adamw
    b2: float = 0.999  # [0, 1), memory of the square; adam, adamw
    eps: float = 1e-8  # > 0, added to the root of the square; adam, adamw
    state: OptimizerState = OptimizerState.reset  # of adam, adamw between rounds
    clip: float = 0.0  # >= 0, largest norm of one row's gradient (DP-SGD, Abadi et al., CCS 2016); 0 = any
    noise: float = 0.0  # >= 0, standard deviation of the noise divided by `clip`, the papers' z; 0 = none
    sampling: Sampling = Sampling.shuffle
    chunk: int = 512  # >= 1, most sites in one unit of work; affects the numbers, unlike the number of workers
    tier: Tier = Tier.auto

    def __post_init__(self) -> None:
        within("local.lr", self.lr, 0, open_low=True)
        within("local.decay", self.decay, 0, 1, open_low=True)
        within("local.epochs", self.epochs, 1)
        within("local.steps", self.steps, 0)
        within("local.batch", self.batch, 0)
        within("local.momentum", self.momentum, 0, 1, open_high=True)
        within("local.weight_decay", self.weight_decay, 0)
        within("local.b1", self.b1, 0, 1, open_high=True)
        within("local.b2", self.b2, 0, 1, open_high=True)
        within("local.eps", self.eps, 0, open_low=True)
        if self.optimizer is not Optimizer.sgd and self.momentum:
            raise Refused(
                f"local.momentum={self.momentum:g} is a setting of local.optimizer=sgd; {self.optimizer.value} has "
                "local.b1. Set local.momentum=0."
            )
        if self.optimizer is Optimizer.sgd and self.state is OptimizerState.keep:
            raise Refused(
                "local.state=keep: local.optimizer=sgd keeps nothing between rounds, and momentum starts again in "
                "each. Set "
                "local.state=reset, or local.optimizer=adam."
            )
        within("local.clip", self.clip, 0)
        within("local.noise", self.noise, 0)
        within("local.chunk", self.chunk, 1)
        if self.private and not self.clip:
            name = f"local.noise={self.noise:g}" if self.noise else f"local.sampling={self.sampling.value}"
            raise Refused(f"{name}: DP-SGD needs a bound on the gradient of a row. Set local.clip above 0.")

    @property
    def private(self) -> bool:
        """Whether sums of clipped gradients are divided by the nominal batch size, and get noise if it is above 0."""
        return self.noise > 0 or self.sampling is Sampling.poisson

    def rate(self, round: int) -> float:
        """Learning rate of a round, from 1."""
        return self.lr * self.decay ** (round - 1)

    def batches(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Batches in one epoch of each site, [C] -> [C]."""
        return -(-rows // self.batch) if self.batch else np.ones_like(rows)

    def site_steps(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Local steps K_i of each site in a round, [S] -> [S]."""
        return np.full_like(rows, self.steps) if self.steps else self.epochs * self.batches(rows)

    def norm(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """|a_i|_1 of Wang et al. 2020 for K_i steps of SGD with momentum rho; [C] -> [C]."""
        rho = self.momentum
        return np.asarray((steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho))
