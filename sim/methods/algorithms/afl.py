"""AFL: minimises the loss of the worst-case mixture of the sites."""

from dataclasses import dataclass

import numpy as np

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.simplex import KEPT, keep, kept_weights, nearest
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class AFL(Algorithm):
    """Trains for the worst-case mixture of the sites: gradient ascent on their weights, and descent on the model.

    Source: Mohri, Sivek, Suresh, Agnostic Federated Learning, ICML 2019, Algorithm 1 with the sites as domains and all
    gradients; with local steps instead of one gradient as in Ro et al., Communication-Efficient Agnostic Federated
    Averaging, INTERSPEECH 2021.
    Rule: `x <- x + sum lambda_i (w_i - x)` and at the same time `lambda <- Pi(lambda + gamma F(x))`, with F_i the loss
    of the downloaded model over the site's training rows and Pi the Euclidean projection to the simplex; lambda starts
    at the weights of the experiment. The mean of x_1 to x_T, for which the paper proves its guarantee, is evaluated and
    saved; with `average=false` the last x is.
    Values: gamma 0.01 to 0.1 [M].
    Pitfalls: the code litian96/fair_flearn, with the two sites per round of its README, aggregates with weight 1 and
    ignores lambda; its AFL on Adult is close to FedAvg. A softmax instead of the projection never sets a weight to 0.
    """

    sends = {"delta": "P", "loss": ""}
    server_state = {KEPT: "S", "mean": "P", "count": ""}
    in_time = True
    every_site = True

    gamma: float = 0.05  # >= 0, rate of the ascent, for a loss in nats
    average: bool = True  # evaluate and save the mean of all server models instead of the last one

    def __post_init__(self) -> None:
        within("algorithm.gamma", self.gamma, 0)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Update and F_i."""
        return {"delta": w - at.x, "loss": at.loss(at.x)}, {}

    def weights(self, base: Tensor, state: State) -> Tensor:
        """lambda."""
        return kept_weights(base, state)

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The step, the next lambda, and the mean of the previous models without the initial one."""
        count = state["count"]
        mean = state["mean"] + (heard.x - state["mean"]) / count if bool(count) else state["mean"]
        new = keep(self.ascent(heard.p, heard.each["loss"].double()), heard, state)
        return heard.mean["delta"], {**new, "mean": mean, "count": count + 1}

    def ascent(self, lam: Tensor, loss: Tensor) -> Tensor:
        """The next lambda; [M], [M] -> [M]."""
        point = (lam + self.gamma * loss).numpy()
        return torch.from_numpy(nearest(point, np.zeros(len(point)), np.ones(len(point))))

    def deployed(self, x: Tensor, state: State) -> Tensor:
        """The mean of all server models except the initial one."""
        count = state["count"]
        return state["mean"] + (x - state["mean"]) / count if self.average and bool(count) else x
