"""Mime: MimeLite with local gradients corrected by the mean gradient at the server's model."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Gradient, Heard, Local, Message, State

WHY = "the gradients that sites exchange before they train would pass it by; algorithm=mimelite has no such exchange"


@dataclass
class Mime(Algorithm):
    """Uses the server's fixed momentum, and gradients corrected for the site's bias and the noise of the batch.

    Source: Karimireddy et al., Breaking the Centralized Barrier for Cross-Device Federated Learning, NeurIPS 2021,
    Algorithm 1 (Mime, base SGD with momentum).
    Rule: `y <- y - lr ((1 - beta) (g_k(y) - g_k(x) + c) + beta m)`, both gradients on the same batch; `c = mean grad
    F_k(x)` over the sites of the round; `x <- x + mean (y_k - x)`; `m <- (1 - beta) c + beta m`.
    Values: beta = 0.9. `weighting=sites` is the paper's mean.
    Pitfalls: c belongs to the current round: sites send their full gradients and receive the mean before they train (3
    vectors down, 2 up, two exchanges). `g_k(x)` is computed on the step's own batch, as in SVRG; on another batch the
    noise would remain. The momentum is fixed during local steps. A step costs two gradients.
    """

    server_state = {"momentum": "P"}
    broadcast = ("momentum",)
    prelude = {"gradient": "P"}
    in_time = plain_steps = True
    alone = dict.fromkeys(("uplink", "attack", "aggregator"), WHY) | {
        "personal": "its statistics are of the whole model"
    }

    beta: float = 0.9  # [0, 1)

    def __post_init__(self) -> None:
        within("algorithm.beta", self.beta, 0, 1, open_high=True)

    def before(self, at: Local) -> Message:
        """The full gradient at the downloaded model."""
        return {"gradient": at.gradient(at.x)}

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """`(1 - beta) (g(y) - g(x) + c) + beta m`."""
        unbiased = grad(w) - grad(at.x) + at.server["gradient"]
        return c.added((1 - self.beta) * unbiased + self.beta * at.server["momentum"], w)

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean change; the momentum is updated with c."""
        momentum = (1 - self.beta) * heard.mean["gradient"] + self.beta * state["momentum"]
        return heard.mean["delta"], {"momentum": momentum}
