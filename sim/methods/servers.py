"""Server optimisers: what the server does with the mean step of the sites.

The step is the direction towards the new model, so signs are opposite to an optimiser fed with gradients.
"""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import State


@dataclass
class Server:
    """Plain addition: `w <- w + lr step`."""

    lr: float = 1.0  # > 0

    def __post_init__(self) -> None:
        within("server.lr", self.lr, 0, open_low=True)

    def start(self, x: Tensor) -> State:
        """State before the first step; each [P]."""
        return {}

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        """What is added to the model, and the new state; [P]."""
        return self.lr * step, {}


@dataclass
class Momentum(Server):
    """FedAvgM: Hsu, Qi, Brown, arXiv 1909.06335, 2019. The long-run rate is lr / (1 - beta)."""

    beta: float = 0.9  # [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("server.beta", self.beta, 0, 1, open_high=True)

    def start(self, x: Tensor) -> State:
        """Velocity `v = 0`."""
        return {"velocity": torch.zeros_like(x)}

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        """`v <- beta v + step; w <- w + lr v`."""
        velocity = self.beta * state["velocity"] + step
        return self.lr * velocity, {"velocity": velocity}


@dataclass
class Adaptive(Server):
    """Reddi et al., Adaptive Federated Optimization, ICLR 2021, Algorithm 2: no bias correction, v starts at tau^2."""

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
    """FedAdagrad."""

    beta1: float = 0.0  # the paper's FedAdagrad keeps no momentum

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """`v <- v + step^2`."""
        return v + step**2


@dataclass
class Adam(Adaptive):
    """FedAdam."""

    beta2: float = 0.99  # [0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        within("server.beta2", self.beta2, 0, 1, open_high=True)

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """`v <- beta2 v + (1 - beta2) step^2`."""
        return self.beta2 * v + (1 - self.beta2) * step**2


@dataclass
class Yogi(Adam):
    """FedYogi."""

    def second(self, step: Tensor, v: Tensor) -> Tensor:
        """`v <- v - (1 - beta2) step^2 sign(v - step^2)`."""
        return v - (1 - self.beta2) * step**2 * torch.sign(v - step**2)


SERVERS: dict[str, type[Server]] = {
    "sgd": Server,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "adam": Adam,
    "yogi": Yogi,
}
