"""FedExP: a server learning rate that depends on how much the sites' steps cancel."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Message, State
from sim.methods.servers.base import Server


@dataclass
class FedExP(Server):
    """Lengthens the mean step when the sites' steps cancel each other, by a factor that is computed in every round.

    Source: Jhunjhunwala, Wang, Joshi, FedExP: Speeding Up Federated Averaging via Extrapolation, ICLR 2023, Algorithm
    1.
    Rule: `eta_g = max(1, sum p_i |Delta_i|^2 / (2 (|sum p_i Delta_i|^2 + epsilon)))`, `w <- w + lr eta_g Delta`; the
    paper has equal `p_i = 1 / M`. The model that is evaluated and deployed is the mean of the last two.
    Values: `epsilon` 1e-3, tuned from 1e-3 to 1e-1 times the scale of |Delta|^2 [M]; `lr` 1, the paper's.
    Pitfalls: the last model oscillates, so the paper evaluates the mean of the last two (`average`); evaluating only
    the last one makes the method look worse. An epsilon far above |Delta|^2 gives plain FedAvg. Each site sends one
    additional number, `|Delta_i|^2` of what it sends. The algorithm's step must be the mean of the sites' changes.
    """

    sends = ("square",)

    epsilon: float = 1e-3  # > 0, in squared units of the model's parameters
    average: bool = True  # evaluate the mean of the last two models instead of the last one

    def __post_init__(self) -> None:
        super().__post_init__()
        within("server.epsilon", self.epsilon, 0, open_low=True)

    def report(self, delta: Tensor) -> Message:
        """`|Delta_i|^2`."""
        return {"square": delta.square().sum(1)}

    def start(self, x: Tensor) -> State:
        """The last step, 0."""
        return {"step": torch.zeros_like(x)}

    def scaled(self, step: Tensor, heard: Message) -> Tensor:
        """`eta_g Delta`."""
        rate = heard["square"] / (2 * (step.square().sum() + self.epsilon))
        return rate.clamp(min=1.0) * step

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        """`w <- w + lr eta_g Delta`; the step is kept."""
        return self.lr * step, {"step": self.lr * step}

    def judged(self, x: Tensor, state: State) -> Tensor:
        """Mean of this model and the one before it."""
        return x - state["step"] / 2 if self.average else x
