"""FedMGDA+: a direction in which no site's loss rises."""

from dataclasses import dataclass

import numpy as np

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.simplex import least_norm
from sim.methods.contract import Heard, State


@dataclass
class FedMGDA(Algorithm):
    """Moves along the shortest convex combination of the sites' normalised updates, a descent direction for all sites.

    Source: Hu, Shaloudegi, Zhang, Yu, Federated Learning Meets Multi-Objective Optimization, IEEE Transactions on
    Network Science and Engineering 2022 (FedMGDA+).
    Rule: `u_i = Delta_i / |Delta_i|`, `lambda = argmin |sum lambda_i u_i|^2` over the simplex with `|lambda - p|_inf <=
    epsilon`, `x <- x + eta sum lambda_i u_i`; eta is `server.lr`, p the weights of the experiment.
    Values: epsilon in {0.1, 0.5, 1}, eta about 1 and decreasing [M]; 0 is FedAvg of normalised updates.
    Pitfalls: every update has length one, so the step does not shrink near an optimum unless updates disagree:
    server.lr is a length in parameter space. The quadratic program must be solved to a tolerance; a few Frank-Wolfe
    steps are not enough. A site with a zero update (Delta = 0) stops all movement if epsilon permits it.
    """

    whole_uploads = True

    epsilon: float = 0.1  # [0, 1], how far a weight may be from that of the experiment

    def __post_init__(self) -> None:
        within("algorithm.epsilon", self.epsilon, 0, 1)

    def weigh(self, heard: Heard, state: State) -> Tensor:
        """`lambda_i / |Delta_i|`."""
        delta, p = heard.each["delta"].double(), heard.p.numpy()
        length: Tensor = delta.norm(dim=1).clamp_min(1e-300)
        u = (delta / length[:, None]).numpy()
        low, high = np.maximum(p - self.epsilon, 0.0), np.minimum(p + self.epsilon, 1.0)
        lam = least_norm(u @ u.T, p, low, high) if self.epsilon else p
        return torch.from_numpy(lam) / length
