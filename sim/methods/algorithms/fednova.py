"""FedNova: local updates are normalised before they are averaged."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class FedNova(Algorithm):
    """Wang et al., Tackling the Objective Inconsistency Problem, NeurIPS 2020, equation 7; tau_eff = sum p_i |a_i|_1.

    Sites that take more local steps no longer pull the model towards themselves.
    """

    sends = {"delta": "P", "norm": ""}

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Mean local gradient -lr * d_i, and the scalar |a_i|_1."""
        return {"delta": (w - at.x) / at.norm[:, None], "norm": at.norm}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Step of tau_eff mean gradients."""
        return heard.mean["norm"] * heard.mean["delta"], {}
