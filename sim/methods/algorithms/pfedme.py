"""pFedMe: personal models minimise the sites' losses near the shared model, which moves towards them."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import OWN, Correction, Gradient, Local, Message, State


@dataclass
class PFedMe(Algorithm):
    """Sites move towards personal models, which inner steps on the same batch find near the shared model.

    Source: Dinh, Tran, Nguyen, Personalized Federated Learning with Moreau Envelopes, NeurIPS 2020, Algorithm 1.
    Rule: in every local step K times `theta <- theta - rate (grad F_i(theta) + lam (theta - w_i))`, then `w_i <- w_i -
    lr lam (w_i - theta)`; the server moves to `(1 - beta) x + beta sum p_i w_i`.
    Values: lam 15 or 20, inner (K) 5, rate 0.01, lr 0.005 or 0.01; beta is server.lr, 1 to 2. lr lam below 1.
    Pitfalls: `personal` in the records is theta after the site's last step, `shared` the server's x: state which is
    reported. The inner steps use the same batch and start where those of the previous step ended, as in the authors'
    code. A local step costs K gradients, so compare at equal numbers of gradients.
    """

    site_state = {OWN: "P"}

    lam: float = 15.0  # > 0
    inner: int = 5  # >= 1, K
    rate: float = 0.01  # > 0, learning rate of the inner steps

    def __post_init__(self) -> None:
        within("algorithm.lam", self.lam, 0, open_low=True)
        within("algorithm.inner", self.inner, 1)
        within("algorithm.rate", self.rate, 0, open_low=True)

    def begin(self, at: Local) -> Tensor:
        """w_i and theta, both at the downloaded model; [C, 2P]."""
        return torch.cat([at.start, at.start], dim=1)

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """Inner steps, then the gradient of the Moreau envelope; [C, 2P]."""
        w, before = w.chunk(2, dim=1)
        theta = before
        for _ in range(self.inner):
            theta = theta - self.rate * (grad(theta) + self.lam * (theta - w))
        return torch.cat([self.lam * (w - theta), (before - theta) / at.lr], dim=1)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change of w_i; theta stays at the site."""
        w, theta = w.chunk(2, dim=1)
        return {"delta": w - at.x}, {OWN: theta.clone()}
