"""Loss-gap parity: a penalty on the variance of the sites' losses."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class LossParity(Algorithm):
    """Penalises the variance of the sites' losses, through weights that are affine in the loss.

    Source: our own rule. EAGLE, arXiv 2603.29818, has the same aim according to its abstract [A]; its rule is not
    reproduced.
    Rule: `x <- x + sum a_i (w_i - x)`, `a_i = p_i (1 + 2 lam (F_i - mean F))` with `mean F = sum p_i F_i` of the
    downloaded model over training rows: with one local step, descent on `mean F + lam sum p_i (F_i - mean F)^2`.
    Negative a_i are set to 0 and the rest divided by their sum: the loss of no site is raised on purpose.
    Values: lam 0.1 to 2 for losses in nats; 0 is FedAvg, bit for bit.
    Pitfalls: without the bound at 0, the penalty could be reduced by making good sites worse. The rule is first order
    in the gaps of the losses; where these exceed 1 / (2 lam), only the worst sites count, as in AFL.
    """

    sends = {"delta": "P", "loss": ""}
    in_time = True
    whole_uploads = True

    lam: float = 0.5  # >= 0, weight of the variance

    def __post_init__(self) -> None:
        within("algorithm.lam", self.lam, 0)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Update and F_i."""
        return {"delta": w - at.x, "loss": at.loss(at.x)}, {}

    def weigh(self, heard: Heard, state: State) -> Tensor:
        """The affine weights, none below 0."""
        if not self.lam:
            return heard.p
        loss = heard.each["loss"].double()
        a = (heard.p * (1 + 2 * self.lam * (loss - heard.p @ loss))).clamp_min(0.0)
        return a / a.sum()
