"""q-FedAvg: sites with a larger loss count more."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class QFedAvg(Algorithm):
    """Li et al., Fair Resource Allocation in Federated Learning, ICLR 2020, Algorithm 2 with L = 1 / lr.

    F_i is the loss of the downloaded model over all training rows of the site, before it trains. With q = 0 this is
    FedAvg; the paper's sums weigh all sites alike, which is `weighting=sites`.
    """

    sends = {"delta": "P", "h": ""}
    in_time = True  # an upload's scale is its loss under the model of that round

    q: float = 1.0  # >= 0; the paper uses 0.001 to 15

    def __post_init__(self) -> None:
        within("algorithm.q", self.q, 0)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Delta_i and h_i: `F^q Delta w_i` and `q F^(q-1) |Delta w_i|^2 + L F^q`, Delta w_i = L (x - w_i)."""
        f, step = at.loss(at.x) + 1e-10, (at.x - w) / at.lr
        h = self.q * f ** (self.q - 1) * step.square().sum(1) + f**self.q / at.lr
        return {"delta": -(f**self.q)[:, None] * step, "h": h}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """`x - sum Delta_i / sum h_i`."""
        return heard.mean["delta"] / heard.mean["h"], {}
