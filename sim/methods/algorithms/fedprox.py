"""FedProx: a quadratic leash on local training."""

from dataclasses import dataclass

from sim.checks import within
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local


@dataclass
class FedProx(Algorithm):
    """Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, Algorithm 2."""

    mu: float = 0.01  # >= 0, weight of mu/2 |w - x|^2; the paper searches {0.001, 0.01, 0.1, 1}

    def __post_init__(self) -> None:
        within("algorithm.mu", self.mu, 0)

    def correction(self, at: Local) -> Correction:
        """Gradient of the proximal term."""
        return Correction(pull=self.mu)
