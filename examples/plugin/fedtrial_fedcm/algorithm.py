"""FedCM: every local step is a blend of the site's gradient with the federation's last direction."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Gradient, Heard, Local, Message, State


@dataclass
class FedCM(Algorithm):
    """Momentum lives at the server and enters every local step, so that sites drift less and keep nothing.

    Source: Xu, Wang, Wang, Yao, FedCM: Federated Learning with Client-level Momentum, arXiv 2106.10874, 2021.
    Rule: `y <- y - lr (alpha g_k(y) + (1 - alpha) d)`; `d <- mean (x - y_k) / (K_k lr)`, zero at first;
        `x <- x + mean (y_k - x)`.
    Values: alpha 0.1.
    Pitfalls: with alpha 1 it is FedAvg. The paper has as many steps at every site; here a site's direction is divided
        by its own steps, so that one with many does not outweigh the others in d, and is sent as a second vector.
    """

    server_state = {"direction": "P"}
    broadcast = ("direction",)
    sends = {"delta": "P", "direction": "P"}
    in_time = plain_steps = True

    alpha: float = 0.1  # (0, 1], share of the site's own gradient in a step

    def __post_init__(self) -> None:
        within("algorithm.alpha", self.alpha, 0, 1, open_low=True)

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """`alpha g(y) + (1 - alpha) d`."""
        return c.added(self.alpha * grad(w) + (1 - self.alpha) * at.server["direction"], w)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change, and the direction of its steps."""
        return {"delta": w - at.x, "direction": (at.x - w) / (at.lr * at.norm[:, None])}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean of both."""
        return heard.mean["delta"], {"direction": heard.mean["direction"]}
