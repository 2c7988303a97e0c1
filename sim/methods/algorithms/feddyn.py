"""FedDyn: linear and quadratic terms make the sites' optima agree with the global one."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Heard, Local, Message, State


@dataclass
class FedDyn(Algorithm):
    """Adds a linear and a quadratic term to each site's objective, so that its optimum is that of the federation.

    `weighting=sites` gives the mean of the paper.

    Source: Acar et al., Federated Learning Based on Dynamic Regularization, ICLR 2021, Algorithm 1.
    Rule: site i takes steps on `F_i(w) - <h_i, w> + alpha/2 |w - x|^2`; `h_i <- h_i - alpha (w_i - x)`; `h <- h -
    alpha/N sum (w_i - x)`; `x <- mean w_i - h / alpha`. At the fixed point h_i is the site's gradient.
    Values: alpha 0.001, 0.01, 0.1; the authors let the rate fall by 0.998 per round (`local.decay`).
    Pitfalls: PFLlib does not square the norm; FL-bench has only the linear term; FedLab and FedML detach the penalty,
    so that sites run plain SGD; fluke has h with the opposite sign and diverges. The tests check that `fedtrial verify`
    detects each of these.
    """

    site_state = {"gradient": "P"}
    server_state = {"h": "P"}
    in_time = True

    alpha: float = 0.01  # > 0; the paper uses 0.001 to 0.1

    def __post_init__(self) -> None:
        within("algorithm.alpha", self.alpha, 0, open_low=True)

    def correction(self, at: Local) -> Correction:
        """Gradient of the two added terms."""
        return Correction(pull=self.alpha, drift=-at.site["gradient"])

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Line 8: h_i - alpha (w_i - x)."""
        return {"delta": w - at.x}, {"gradient": at.site["gradient"] - self.alpha * (w - at.x)}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Lines 11 and 12: h, then mean of the sites' models - h / alpha."""
        h = state["h"] - self.alpha * heard.share * heard.mean["delta"]
        return heard.mean["delta"] - h / self.alpha, {"h": h}
