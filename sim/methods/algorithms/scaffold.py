"""SCAFFOLD: control variates that cancel client drift."""

from dataclasses import dataclass
from enum import Enum

from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Heard, Local, Message, State

# What a site's control variate becomes (line 12). I: the gradient of the downloaded model over all training rows, for
# one more pass and no bytes. II: the mean of the gradients of its local steps, from how far they led.
Option = Enum("Option", {"I": "I", "II": "II"})


@dataclass
class Scaffold(Algorithm):
    """Control variates at sites and server remove the differences between sites from every local step.

    Source: Karimireddy et al., SCAFFOLD: Stochastic Controlled Averaging for Federated Learning, ICML 2020, Algorithm
    1.
    Rule: `y <- y - lr (g_i(y) + c - c_i)`; `c_i+ = grad F_i(x)` (option I) or `c_i - c + (x - y_i) / (K_i lr)` (II); `x
    <- x + mean (y_i - x)`, `c <- c + |S|/N mean (c_i+ - c_i)`.
    Values: option II, which the paper's experiments use; the server's rate is 1 (`server.lr`).
    Pitfalls: the variates are scaled by `|a_i|_1` of Wang et al. 2020, not `K_i`, so that local momentum does not
    change the fixed point; NIID-Bench, NVFlare and Flower's baseline add the correction outside the momentum and
    converge to another point. pfl-research has the sign of `c_i+` wrong, FL-bench and FedML never store it, NVFlare
    forgets `|S|/N`. With `weighting=sites` the mean is that of the paper; with patients, variates have the same weights
    as models.
    """

    site_state = server_state = {"control": "P"}
    broadcast = ("control",)
    sends = {"delta": "P", "control": "P"}
    in_time = True

    option: Option = Option.II  # new control variate: I from a full gradient, II from the mean of the local gradients

    def correction(self, at: Local) -> Correction:
        """c - c_i (line 10)."""
        return Correction(drift=at.server["control"] - at.site["control"])

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Lines 12 and 13."""
        if self.option is Option.I:
            new = at.gradient(at.x)
        else:
            new = at.site["control"] - at.server["control"] + (at.x - w) / (at.lr * at.norm[:, None])
        return {"delta": w - at.x, "control": new - at.site["control"]}, {"control": new}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Lines 16 and 17."""
        return heard.mean["delta"], {"control": state["control"] + heard.share * heard.mean["control"]}
