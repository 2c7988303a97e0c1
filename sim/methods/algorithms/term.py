"""TERM: a tilted mean of the sites' losses, between the mean and the maximum."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class TERM(Algorithm):
    """Minimises a tilted mean of the sites' losses: sites with a larger loss count exponentially more.

    Source: Li, Beirami, Sanjabi, Smith, Tilted Empirical Risk Minimization, ICLR 2021, tilted over sites.
    Rule: `x <- x + sum lambda_i (w_i - x)`, `lambda_i = p_i exp(t F_i) / sum p_j exp(t F_j)`, with F_i the loss of the
    downloaded model over the site's training rows: with one local step, descent on `1/t log sum p_i exp(t F_i)`.
    Values: t in {0.1, 1, 2, 5, 10} [M]; 0 is FedAvg, bit for bit; large t approaches the worst site (AFL).
    Pitfalls: `exp(t F)` overflows unless the largest exponent is subtracted first, as here. Using losses after local
    training instead of those of the downloaded model rewards sites that overfit. The curvature grows with t: lower
    local.lr.
    """

    sends = {"delta": "P", "loss": ""}
    in_time = True
    whole_uploads = True

    t: float = 1.0  # >= 0, the tilt, for a loss in nats

    def __post_init__(self) -> None:
        within("algorithm.t", self.t, 0)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Update and F_i."""
        return {"delta": w - at.x, "loss": at.loss(at.x)}, {}

    def weigh(self, heard: Heard, state: State) -> Tensor:
        """The tilted weights."""
        if not self.t:
            return heard.p
        return (heard.p.log() + self.t * heard.each["loss"].double()).softmax(0)
