"""FedProx with a proximal weight that grows when the loss rises and shrinks when it keeps falling."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Heard, Local, Message, State


@dataclass
class AdaptiveProx(Algorithm):
    """FedProx with a weight mu that follows the training loss.

    Source: Li et al., Federated Optimization in Heterogeneous Networks, MLSys 2020, section 5.3.2 and appendix C.3.3.
    Rule: sites step on `F_k(y) + mu/2 |y - x|^2` and send `F_k(x)` with their update; `mu <- mu + step` when the mean
    loss is above the last round's, `mu <- max(mu - step, 0)` when it has fallen `falls` times in a row.
    Values: step 0.1, falls 5; mu starts at 0 or 1 [M].
    Pitfalls: if the loss falls more often in a row, each further fall lowers mu again, as in pfl-research; the paper
    does not specify this [M]. The loss is that of the downloaded model over all training rows of the round's sites: if
    few sites take part, it also varies because the sites differ. The first round has no previous loss; pfl-research
    counts it as a fall, and by default needs only one fall. The loss is sent up and mu is sent down, one number each.
    """

    server_state = {"change": "", "loss": "", "falls": "", "rounds": ""}
    broadcast = ("change",)
    sends = {"delta": "P", "loss": ""}
    in_time = True

    mu: float = 0.0  # >= 0, weight of the proximal term in the first round
    step: float = 0.1  # >= 0, change of mu; 0 is FedProx
    falls: int = 5  # >= 1, consecutive falls of the loss before mu is lowered

    def __post_init__(self) -> None:
        within("algorithm.mu", self.mu, 0)
        within("algorithm.step", self.step, 0)
        within("algorithm.falls", self.falls, 1)

    def correction(self, at: Local) -> Correction:
        """Gradient of the proximal term."""
        return Correction(pull=(self.mu + at.server["change"]).expand(len(at.x)))

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change, and the loss of the downloaded model."""
        return {"delta": w - at.x, "loss": at.loss(at.x)}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean change, and the next round's mu, kept as its difference from the first one."""
        loss, before, known = heard.mean["loss"], state["loss"], state["rounds"] > 0
        falls = torch.where(known & (loss < before), state["falls"] + 1, 0 * loss)
        up, down = (known & (loss > before)).to(loss.dtype), (falls >= self.falls).to(loss.dtype)
        change = (state["change"] + self.step * (up - down)).clamp_min(-self.mu)
        return heard.mean["delta"], {"change": change, "loss": loss, "falls": falls, "rounds": state["rounds"] + 1}
