"""MimeLite: local steps with the server's momentum, which stays fixed while sites train."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Gradient, Heard, Local, Message, State


@dataclass
class MimeLite(Algorithm):
    """Sites take the steps of centralised SGD with momentum, but only the server updates the momentum.

    Source: Karimireddy et al., Breaking the Centralized Barrier for Cross-Device Federated Learning, NeurIPS 2021,
    Algorithm 1 (MimeLite, base SGD with momentum).
    Rule: `y <- y - lr ((1 - beta) g_k(y) + beta m)`; `x <- x + mean (y_k - x)`; `m <- (1 - beta) mean grad F_k(x) +
    beta m`, the gradient over all training rows. Sites keep nothing.
    Values: beta = 0.9; beta = 0 is FedAvg. `weighting=sites` is the paper's mean.
    Pitfalls: the momentum is fixed during local steps; if it is updated there, the method becomes FedAvg with local
    momentum. The statistic is the gradient at the downloaded model, not the mean of the gradients along the local
    steps; it needs a pass over the site's rows and one more vector in each direction (2 down, 2 up). `m` is updated
    after the round, not before.
    """

    server_state = {"momentum": "P"}
    broadcast = ("momentum",)
    sends = {"delta": "P", "gradient": "P"}
    in_time = plain_steps = True
    alone = {"personal": "its momentum is of the whole model"}

    beta: float = 0.9  # [0, 1)

    def __post_init__(self) -> None:
        within("algorithm.beta", self.beta, 0, 1, open_high=True)

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """`(1 - beta) g(y) + beta m`."""
        return c.added((1 - self.beta) * grad(w) + self.beta * at.server["momentum"], w)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change, and the full gradient at the downloaded model."""
        return {"delta": w - at.x, "gradient": at.gradient(at.x)}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean change; the momentum is updated with the mean gradient."""
        momentum = (1 - self.beta) * heard.mean["gradient"] + self.beta * state["momentum"]
        return heard.mean["delta"], {"momentum": momentum}
