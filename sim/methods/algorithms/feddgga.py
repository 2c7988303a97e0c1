"""FedDG-GA: gives more weight to sites whose loss rises most by averaging."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.simplex import KEPT, keep, kept_weights
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class FedDGGA(Algorithm):
    """Raises the weight of sites whose loss rises most from their own model to the averaged one.

    Source: Zhang, Xu, Yao, Wang, Federated Domain Generalization with Generalization Adjustment, CVPR 2023.
    Rule: `G_i = F_i(x) - F_i(w_i)`, w_i the site's model of the last round and x the resulting average; `a_i <-
    clip(a_i + d (1 - t / T) (G_i - mean G) / max |G_j - mean G|, 0, 1)`, then divided by their sum; `x <- x + sum a_i
    Delta_i`. a starts at the weights of the experiment. A site can compute G_i after it has downloaded x, and sends it
    with its next update (one number). F is over its training rows, which takes two forward passes per round.
    Values: d 0.2 to 0.5 [M]; T is the number of rounds, after which the weights stay constant.
    Pitfalls: MediaBrain-SJTU/FedDG-GA does not subtract mean G, divides d by three whatever the number of sites, and
    takes F on validation rows. If the absolute value in the denominator is left out, signs change.
    """

    sends = {"delta": "P", "gap": ""}
    site_state = {"trained": ""}
    server_state = {KEPT: "S", "count": ""}
    in_time = True
    whole_uploads = True
    every_site = True

    d: float = 0.2  # [0, 1], largest change of a weight in the first round
    horizon: int = 50  # >= 1 rounds T over which the change falls to 0; set it to `rounds`

    def __post_init__(self) -> None:
        within("algorithm.d", self.d, 0, 1)
        within("algorithm.horizon", self.horizon, 1)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Update and gap; the loss of the trained model stays until the next round."""
        return {"delta": w - at.x, "gap": at.loss(at.x) - at.site["trained"]}, {"trained": at.loss(w)}

    def weights(self, base: Tensor, state: State) -> Tensor:
        """The weights of the last round."""
        return kept_weights(base, state)

    def weigh(self, heard: Heard, state: State) -> Tensor:
        """The adjusted weights; in the first round there is no gap yet."""
        t = float(state["count"])
        step = self.d * max(1 - t / self.horizon, 0.0)
        gap = heard.each["gap"].double()
        centred = gap - gap.mean()
        most = centred.abs().max()
        if t < 1 or not step or not bool(most > 0):
            return heard.p
        a = (heard.p + step * centred / most).clamp(0.0, 1.0)
        return a / a.sum()

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The step, and the weights that were used."""
        return heard.mean["delta"], {**keep(self.weigh(heard, state), heard, state), "count": state["count"] + 1}
