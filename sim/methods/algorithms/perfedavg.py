"""Per-FedAvg: the shared model is trained to be a good starting point for one step of adaptation at a site."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Gradient, Local


@dataclass
class PerFedAvg(Algorithm):
    """Sites minimise their loss after one adaptation step, without its second derivatives (first order, FO).

    Source: Fallah, Mokhtari, Ozdaglar, Personalized Federated Learning with Theoretical Guarantees: A Model-Agnostic
    Meta-Learning Approach, NeurIPS 2020, Algorithm 1.
    Rule: `w <- w - lr grad F_i(w - alpha grad F_i(w; B); B')`, B and B' two batches; the server averages.
    Values: alpha 0.01, lr 0.001 in the paper [M].
    Pitfalls: report whether FO or HF (perfedavghf) is used. The model is evaluated after one adaptation step with rate
    alpha on training rows, as `personal` in the records; `shared` is only the starting point and not meant for
    patients. The code of Dinh et al. 2020 adapts on test batches. A step takes two batches and two gradients.
    """

    batches = 2

    alpha: float = 0.01  # > 0, rate of the adaptation

    def __post_init__(self) -> None:
        within("algorithm.alpha", self.alpha, 0, open_low=True)

    @property
    def adaptation_rate(self) -> float:
        """alpha."""
        return self.alpha

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """Gradient on the second batch after a step on the first."""
        return c.added(grad(w - self.alpha * grad(w), batch=1), w)


@dataclass
class PerFedAvgHF(PerFedAvg):
    """Per-FedAvg with Hessian-gradient products from differences of gradients (Hessian-free, HF).

    Source: Fallah, Mokhtari, Ozdaglar, Personalized Federated Learning with Theoretical Guarantees: A Model-Agnostic
    Meta-Learning Approach, NeurIPS 2020, section 5.
    Rule: `w <- w - lr (g - alpha (grad F_i(w + delta g; B'') - grad F_i(w - delta g; B'')) / (2 delta))` with `g = grad
    F_i(w - alpha grad F_i(w; B); B')`; the server averages.
    Values: as perfedavg; delta 0.001 [M], small enough that the difference approximates a derivative and large enough
    that it is not noise.
    Pitfalls: as perfedavg. A step takes three batches and four gradients. In single precision, a delta near 1e-6 gives
    only rounding errors.
    """

    batches = 3

    delta: float = 1e-3  # > 0, half the distance of the two gradients, in units of g

    def __post_init__(self) -> None:
        super().__post_init__()
        within("algorithm.delta", self.delta, 0, open_low=True)

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """The gradient of the adapted loss, first and second derivatives."""
        g = grad(w - self.alpha * grad(w), batch=1)
        turn = grad(w + self.delta * g, batch=2) - grad(w - self.delta * g, batch=2)
        return c.added(g - self.alpha * turn / (2 * self.delta), w)
