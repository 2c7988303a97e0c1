"""FedProx: a quadratic penalty on the distance from the server's model."""

from dataclasses import dataclass

from sim.checks import within
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local


@dataclass
class FedProx(Algorithm):
    """Adds a quadratic penalty that keeps local training close to the server's model.

    Source: Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, Algorithm 2.
    Rule: site k takes steps on `F_k(w) + mu/2 |w - x|^2` from `w = x`; the mean as in FedAvg, any number of steps.
    Values: mu 0.001, 0.01, 0.1, 1 in the paper; no value is best everywhere. `adaptiveprox` adapts it.
    Pitfalls: Flower's baseline shipped the penalty unsquared (pull request 2210). The fixed point is not the pooled
    optimum for any mu. With mu = 0 the training must be FedAvg's, bit for bit. Compared with a FedAvg that drops
    stragglers, most of the gain comes from keeping their partial work.
    """

    mu: float = 0.01  # >= 0, weight of mu/2 |w - x|^2; the paper searches {0.001, 0.01, 0.1, 1}

    def __post_init__(self) -> None:
        within("algorithm.mu", self.mu, 0)

    def correction(self, at: Local) -> Correction:
        """Gradient of the proximal term."""
        return Correction(pull=self.mu)
