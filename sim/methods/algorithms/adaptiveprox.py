"""FedProx whose leash is tightened when the loss goes up and loosened when it keeps falling."""

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
    Pitfalls: a run of more falls lowers mu at each of them, as in pfl-research; the paper leaves it open [M]. The loss
        is of the downloaded model over all training rows of the round's sites: with few of them it goes up and down by
        who they are. The first round has no loss before it; pfl-research counts it as a fall, and by default lets one
        fall suffice. A loss travels up and mu down, one number each.
    """

    server_state = {"change": "", "loss": "", "falls": "", "rounds": ""}
    broadcast = ("change",)
    sends = {"delta": "P", "loss": ""}
    in_time = True

    mu: float = 0.0  # >= 0, weight of the proximal term in the first round
    step: float = 0.1  # >= 0, by which it changes; 0 is FedProx
    falls: int = 5  # >= 1 falls in a row before it goes down

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
        """The mean change, and the next round's mu as its distance from the first."""
        loss, before, known = heard.mean["loss"], state["loss"], state["rounds"] > 0
        falls = torch.where(known & (loss < before), state["falls"] + 1, 0 * loss)
        up, down = (known & (loss > before)).to(loss.dtype), (falls >= self.falls).to(loss.dtype)
        change = (state["change"] + self.step * (up - down)).clamp_min(-self.mu)
        return heard.mean["delta"], {"change": change, "loss": loss, "falls": falls, "rounds": state["rounds"] + 1}
