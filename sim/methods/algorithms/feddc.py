"""FedDC: every site learns its drift from the global model, and the drift is subtracted."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Heard, Local, Message, State


@dataclass
class FedDC(Algorithm):
    """Adds a penalty on the local model plus its drift, and corrects local steps by the last round's updates.

    Source: Gao et al., FedDC: Federated Learning with Non-IID Data via Local Drift Decoupling and Correction, CVPR
    2022, Algorithm 1.
    Rule: site i steps on `F_i(y) + alpha/2 |y + h_i - x|^2 + <y, D_i - D> / (K lr)`, D_i its last update and D the mean
    of the last round's; `D_i <- y - x`, `h_i <- h_i + D_i`; `x <- mean y_i + mean h_i`.
    Values: alpha = 0.01 to 0.1.
    Pitfalls: h_i enters the mean after its update. If only some sites take part, the mean is over the participants'
    models and over the h_i of all sites, as in the authors' code. That code replaces `D_i - D` by SCAFFOLD's recursion,
    which is another method. The server computes the mean of h_i from the updates, so that a site sends one vector
    instead of two (2 down, 1 up). K is `|a_i|_1` with local momentum.
    """

    site_state = {"drift": "P", "update": "P"}
    server_state = {"drift": "P", "update": "P"}
    broadcast = ("update",)
    in_time = True
    alone = {"personal": "its drifts are of the whole model"}

    alpha: float = 0.1  # > 0

    def __post_init__(self) -> None:
        within("algorithm.alpha", self.alpha, 0, open_low=True)

    def correction(self, at: Local) -> Correction:
        """Gradient of the two added terms."""
        ahead = (at.site["update"] - at.server["update"]) / (at.lr * at.norm[:, None])
        return Correction(pull=self.alpha, drift=self.alpha * at.site["drift"] + ahead)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The update; the site keeps it, and the drift to which it is added."""
        return {"delta": w - at.x}, {"drift": at.site["drift"] + w - at.x, "update": w - at.x}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Mean of the sites' models, and of all sites' drifts."""
        update = heard.mean["delta"]
        drift = state["drift"] + heard.share * update
        return update + drift, {"drift": drift, "update": update}
