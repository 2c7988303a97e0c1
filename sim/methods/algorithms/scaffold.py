"""SCAFFOLD: control variates that cancel client drift."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Heard, Local, Message, State


@dataclass
class Scaffold(Algorithm):
    """Karimireddy et al., SCAFFOLD, ICML 2020, Algorithm 1 with option II.

    The variates are scaled by |a_i|_1, not K_i, so that local momentum leaves the fixed point where it belongs. With
    `weighting=sites` the mean is the paper's; with patients, variates are weighted as the models are.
    """

    site_state = server_state = {"control": "P"}
    broadcast = ("control",)
    sends = {"delta": "P", "control": "P"}
    in_time = True

    def correction(self, at: Local) -> Correction:
        """c - c_i (line 10)."""
        return Correction(drift=at.server["control"] - at.site["control"])

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Lines 12 and 13."""
        new = at.site["control"] - at.server["control"] + (at.x - w) / (at.lr * at.norm[:, None])
        return {"delta": w - at.x, "control": new - at.site["control"]}, {"control": new}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Lines 16 and 17."""
        return heard.mean["delta"], {"control": state["control"] + heard.share * heard.mean["control"]}
