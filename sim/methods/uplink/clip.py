"""Clip: a bound on the Euclidean norm of what a site sends."""

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.contract import Draw, Local, Message, State
from sim.methods.uplink.base import Encoded, Transform


@dataclass
class Clip(Transform):
    """`u min(1, bound / |u|)`; McMahan et al., ICLR 2018. With `quantile` above 0 the bound follows the norms.

    Andrew et al., Differentially Private Learning with Adaptive Clipping, NeurIPS 2021: each site also sends whether
    its norm was within the bound, and `bound <- bound exp(-rate (share within - quantile))`. No noise is added here.
    """

    server_state = {"log": ""}  # log of the bound over its start
    broadcast = ("log",)
    sends = ("within",)

    bound: float = 1.0  # > 0, in units of the model's parameters
    quantile: float = 0.0  # [0, 1); share of the sites that should stay within the bound; 0 = the bound is fixed
    rate: float = 0.2  # > 0, the paper's eta_C

    def __post_init__(self) -> None:
        within("uplink.clip.bound", self.bound, 0, open_low=True)
        within("uplink.clip.quantile", self.quantile, 0, 1, open_high=True)
        within("uplink.clip.rate", self.rate, 0, open_low=True)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Clipped vectors, and who was within."""
        norm = u.norm(dim=1)
        bound = self.bound * math.exp(float(at.server["log"]))
        scale = (bound / norm).clamp(max=1.0)
        return Encoded(u * scale[:, None], {}, {"within": (norm <= bound).to(u.dtype)})

    def learn(self, sent: Message, state: State) -> State:
        """The paper's geometric update."""
        if not self.quantile:
            return state
        return {"log": state["log"] - self.rate * (sent["within"].mean() - self.quantile)}
