"""Adaptive server optimisers: a learning rate for every parameter, from the squares of its steps."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import State
from sim.methods.servers.base import Server


@dataclass
class Adaptive(Server):
    """Base class of adaptive server optimisers; each defines the update of the second moment.

    Source: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan, Adaptive Federated Optimization, ICLR 2021,
    Algorithm 2.
    Rule: `m <- beta1 m + (1 - beta1) step`, `w <- w + lr m / (sqrt(v) + tau)`, from `m = 0`, `v = tau^2`.
    Values: see its entries.
    Pitfalls: no bias correction.
    """

    lr: float = 0.1  # > 0; the paper searches 1e-3 to 10^0.5
    beta1: float = 0.9  # [0, 1)
    tau: float = 1e-3  # > 0; adaptivity, the paper's recommendation

    def __post_init__(self) -> None:
        super().__post_init__()
        within("server.beta1", self.beta1, 0, 1, open_high=True)
        within("server.tau", self.tau, 0, open_low=True)

    def start(self, x: Tensor) -> State:
        """First moment 0, second moment tau^2."""
        return {"first": torch.zeros_like(x), "second": torch.full_like(x, self.tau**2)}

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """New second moment; [P]."""
        raise NotImplementedError

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        """`m <- beta1 m + (1 - beta1) step; w <- w + lr m / (sqrt(v) + tau)`."""
        first = self.beta1 * state["first"] + (1 - self.beta1) * step
        second = self.second(step, state["second"])
        return self.lr * first / (second.sqrt() + self.tau), {"first": first, "second": second}


@dataclass
class Adagrad(Adaptive):
    """FedAdagrad: a learning rate for every parameter that decreases with the sum of its squared steps.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, Algorithm 2.
    Rule: `v <- v + step^2`, `m <- beta1 m + (1 - beta1) step`, `w <- w + lr m / (sqrt(v) + tau)`.
    Values: `beta1` 0, `tau` 1e-3 (searched 1e-5 to 1e-1), `lr` searched 1e-3 to 10^0.5.
    Pitfalls: `v` starts at tau^2, in other implementations at 0. `tau` is outside the square root. `tau` and `lr`
    interact: FLamby uses tau 1e-8 with lr 0.3 to 1.
    """

    beta1: float = 0.0  # [0, 1); the paper's FedAdagrad keeps no momentum

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """`v <- v + step^2`."""
        return v + step**2


@dataclass
class Adam(Adaptive):
    """FedAdam: a learning rate for every parameter from a moving average of its squared steps, and momentum.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, Algorithm 2.
    Rule: `v <- beta2 v + (1 - beta2) step^2`, `m <- beta1 m + (1 - beta1) step`, `w <- w + lr m / (sqrt(v) + tau)`.
    Values: `beta1` 0.9, `beta2` 0.99, `tau` 1e-3; `lr` searched 1e-3 to 10^0.5.
    Pitfalls: the paper has no bias correction; Flower corrects with the exponent round + 1, and NVFlare uses torch's
    Adam with bias correction and eps 1e-8 as tau. FLamby, FL-bench and fluke default to beta2 0.999.
    """

    beta2: float = 0.99  # [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("server.beta2", self.beta2, 0, 1, open_high=True)

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """`v <- beta2 v + (1 - beta2) step^2`."""
        return self.beta2 * v + (1 - self.beta2) * step**2


@dataclass
class Yogi(Adam):
    """FedYogi: as FedAdam, but the change of the second moment does not depend on its distance from the squared step.

    Source: Reddi et al., Adaptive Federated Optimization, ICLR 2021, Algorithm 2.
    Rule: `v <- v - (1 - beta2) step^2 sign(v - step^2)`, `m <- beta1 m + (1 - beta1) step`, `w <- w + lr m / (sqrt(v) +
    tau)`.
    Values: `beta1` 0.9, `beta2` 0.99, `tau` 1e-3; `lr` searched 1e-3 to 10^0.5.
    Pitfalls: the sign distinguishes it from Adam; from v = 0 the first step of both is the same, so a test of a single
    round cannot distinguish them.
    """

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """`v <- v - (1 - beta2) step^2 sign(v - step^2)`."""
        return v - (1 - self.beta2) * step**2 * torch.sign(v - step**2)
