"""FedNova: local updates are normalised before averaging."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class FedNova(Algorithm):
    """Divides updates by their number of local steps, so that sites with more steps do not dominate the model.

    Source: Wang et al., Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization, NeurIPS
    2020, equation 7.
    Rule: `d_i = (x - w_i) / (lr |a_i|_1)`; `x <- x - tau_eff lr sum p_i d_i`, `tau_eff = sum p_i |a_i|_1`; |a_i|_1 is
    K_i for plain SGD and `[K_i - rho (1 - rho^K_i) / (1 - rho)] / (1 - rho)` with momentum rho.
    Values: no setting of its own; the paper's momentum is 0.9 (`local.momentum`).
    Pitfalls: fluke averages models, not their changes, with weights that sum to more than 1, and diverges; FedLab steps
    N/M times too far under sampling. The number of steps must be that of steps taken, not planned.
    """

    sends = {"delta": "P", "norm": ""}

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Mean local gradient -lr * d_i, and the scalar |a_i|_1."""
        return {"delta": (w - at.x) / at.norm[:, None], "norm": at.norm}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Step of tau_eff mean gradients."""
        return heard.mean["norm"] * heard.mean["delta"], {}
