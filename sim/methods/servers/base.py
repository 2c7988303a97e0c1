"""Server optimisers: how the server applies the mean step of the sites.

The step points towards the new model, so signs are opposite to those of an optimiser that receives gradients.
"""

from dataclasses import dataclass
from typing import ClassVar

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Message, State


@dataclass
class Server:
    """Adds the step times a learning rate.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, Algorithm 1, with SGD at the server; with learning
    rate 1 it is that of FedAvg: McMahan et al., AISTATS 2017.
    Rule: `w <- w + lr step`.
    Values: `lr` 1; below 1 it damps, above 1 it extrapolates.
    Pitfalls: the step points towards the new model; an optimiser that receives it as a gradient moves in the wrong
    direction.
    """

    sends: ClassVar[tuple[str, ...]] = ()  # numbers that every site sends in addition to the algorithm's message

    lr: float = 1.0  # > 0

    def __post_init__(self) -> None:
        within("server.lr", self.lr, 0, open_low=True)

    def report(self, delta: Tensor) -> Message:
        """What each site sends for it (all of `sends`), given the change of its model as sent; [C, P] -> [C]."""
        return {}

    def start(self, x: Tensor) -> State:
        """State before the first step; each [P]."""
        return {}

    def scaled(self, step: Tensor, heard: Message) -> Tensor:
        """The step, rescaled by what sites reported; [P], aggregates [] of what they sent -> [P]."""
        return step

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        """The change of the model, and the new state; [P]."""
        return self.lr * step, {}

    def judged(self, x: Tensor, state: State) -> Tensor:
        """The model that is evaluated and deployed, given the one that sites download next; [P]."""
        return x


@dataclass
class Momentum(Server):
    """Momentum at the server (FedAvgM).

    Source: Hsu, Qi, Brown, Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification, arXiv 1909.06335, 2019.
    Rule: `v <- beta v + step`, `w <- w + lr v`, from `v = 0`.
    Values: `beta` 0.9 (searched from 0 to 0.997) and `lr` 1 in the paper.
    Pitfalls: the long-run learning rate is `lr / (1 - beta)`, so learning rate and momentum must be tuned together;
    with an average `beta v + (1 - beta) step` instead of the sum, the same settings define another method.
    """

    beta: float = 0.9  # [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("server.beta", self.beta, 0, 1, open_high=True)

    def start(self, x: Tensor) -> State:
        """Velocity `v = 0`."""
        return {"velocity": torch.zeros_like(x)}

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        """`v <- beta v + step; w <- w + lr v`."""
        velocity = self.beta * state["velocity"] + step
        return self.lr * velocity, {"velocity": velocity}
