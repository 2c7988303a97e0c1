"""Fine-tuning: the shared model adapted to each site's own rows."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Correction, Local, Phase
from sim.methods.personal.base import Adapted, OwnModel


@dataclass
class FineTune(OwnModel):
    """Each site adapts the shared model to its own rows by a few steps, and deploys the result.

    Source: Collins et al., FedAvg with Fine Tuning: Local Updates Lead to Representation Learning, NeurIPS 2022.
    Rule: after the last round `v_i <- s steps of SGD on F_i` from `v_i = x`; nothing is sent.
    Values: steps (s) 3 in FLamby, elsewhere one to five epochs; lr as in training; adapt=scored adapts at every
    evaluation.
    Pitfalls: scores before and after are both recorded, as `shared` and `personal`. If fine-tuning is left out of a
    comparison, every other personal method looks good. Adaptation on test rows, which some published code does,
    invalidates the evaluation.
    """

    steps: int = 20  # >= 0 steps of adaptation
    lr: float = 0.0  # >= 0 learning rate of the adaptation; 0 = that of the round
    adapt: Adapted = Adapted.last

    def __post_init__(self) -> None:
        within("personal.steps", self.steps, 0)
        within("personal.lr", self.lr, 0)

    @property
    def adapted(self) -> Adapted:
        """As set."""
        return self.adapt

    @property
    def rate(self) -> float:
        """As set."""
        return self.lr

    def adaptation(self, at: Local, private: Tensor) -> Phase:
        """The same number of steps at every site."""
        return Phase(torch.full_like(at.steps, self.steps), Correction())
