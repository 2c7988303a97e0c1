"""FedSAM: every local step uses the gradient at the worst nearby point, which favours flat minima."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Gradient, Local


@dataclass
class FedSAM(Algorithm):
    """Every local step follows the gradient at the worst nearby point, which favours flat minima.

    Source: Qu et al., Generalized Federated Learning via Sharpness Aware Minimization, ICML 2022, Algorithm 1.
    Rule: `e = rho g(w) / |g(w)|`; `w <- w - lr g(w + e)`, both gradients on the same batch.
    Values: rho 0.05; the literature uses 0.02 to 0.7.
    Pitfalls: a step costs two gradients: compare with other methods at equal numbers of gradients, not of steps.
    """

    rho: float = 0.05  # >= 0, distance of the worst point; the literature uses 0.02 to 0.7

    def __post_init__(self) -> None:
        within("algorithm.rho", self.rho, 0)

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """`g(w + rho g(w) / |g(w)|)` on the same batch."""
        g = grad(w)
        return c.added(grad(w + self.rho * g / g.norm(dim=1, keepdim=True).clamp_min(1e-12)), w)
