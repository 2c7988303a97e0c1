"""q-FedAvg: gives more weight to sites with a larger loss."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class QFedAvg(Algorithm):
    """Minimises a sum of powers of the sites' losses, so that sites with a larger loss count more.

    Source: Li, Sanjabi, Beirami, Smith, Fair Resource Allocation in Federated Learning, ICLR 2020, Algorithm 2.
    Rule: `Delta w_i = L (x - w_i)` with `L = 1 / lr`, `Delta_i = F_i^q Delta w_i`, `h_i = q F_i^(q - 1) |Delta w_i|^2 +
    L F_i^q`, `x <- x - sum Delta_i / sum h_i`; F_i is the loss of the downloaded model over all training rows of the
    site, before it trains. The paper's sums are those of `weighting=sites`.
    Values: q 0.001 to 15; 0 is FedAvg.
    Pitfalls: FedLab adds up the losses of the last epoch's batches, so F grows with their number; Flower uses the loss
    that the client reports, mostly after training. L is an estimate: with many local steps `|Delta w|` grows and the
    server's steps become small.
    """

    sends = {"delta": "P", "h": ""}
    in_time = True  # an upload is scaled by its loss under the model of that round

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
