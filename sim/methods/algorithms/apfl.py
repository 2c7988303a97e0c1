"""APFL: every site deploys a mixture of the shared model and its own model."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import OWN, Correction, Gradient, Local, Message, State


@dataclass
class APFL(Algorithm):
    """Sites train the shared model and, on the loss of a mixture of both, a model of their own.

    Source: Deng, Kamani, Mahdavi, Adaptive Personalized Federated Learning, arXiv 2003.13461 (2020), Algorithm 1.
    Rule: in every local step, with `m = alpha v + (1 - alpha) w`: `w <- w - lr grad F_i(w)`, `v <- v - lr alpha grad
    F_i(m)`, and if adaptive `alpha <- alpha - lr <grad F_i(m), v - w>` in [0, 1]; the server averages w. Sites deploy m
    after their last step.
    Values: alpha 0.5 (the initial value, or the constant value if adaptive=false); 0 = FedAvg, 1 = local training.
    Pitfalls: the gradient with respect to v carries the factor alpha. FedTorch adds 0.02 alpha to the gradient of alpha
    and updates it once per round [M]. A step costs two gradients.
    """

    # m, v - m, and alpha less its first value: a site's state begins at the first model (OWN) or at zero.
    site_state = {OWN: "P", "way": "P", "shift": ""}

    alpha: float = 0.5  # [0, 1]
    adaptive: bool = True  # whether each site adapts its alpha

    def __post_init__(self) -> None:
        within("algorithm.alpha", self.alpha, 0, 1)

    def begin(self, at: Local) -> Tensor:
        """w, v and alpha; [C, 2P + 1]."""
        alpha = at.site["shift"] + self.alpha
        return torch.cat([at.start, at.site[OWN] + at.site["way"], alpha[:, None]], dim=1)

    def parts(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """w, v [C, P] and alpha [C, 1]."""
        size = w.shape[1] // 2
        return w[:, :size], w[:, size:-1], w[:, -1:]

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """Directions of all three; [C, 2P + 1]."""
        w, v, alpha = self.parts(w)
        g = grad(alpha * v + (1 - alpha) * w)
        turn = torch.zeros_like(alpha)
        if self.adaptive:
            after = alpha - at.lr * (g * (v - w)).sum(1, keepdim=True)
            turn = (alpha - after.clamp(0, 1)) / at.lr
        return torch.cat([grad(w), alpha * g, turn], dim=1)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change of w; everything else stays at the site."""
        w, v, alpha = self.parts(w)
        mixed = alpha * v + (1 - alpha) * w
        return {"delta": w - at.x}, {OWN: mixed, "way": v - mixed, "shift": alpha[:, 0] - self.alpha}
