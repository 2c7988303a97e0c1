"""Scaffnew: local gradient descent with random communication that converges to the exact optimum."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local, Message, State
from sim.random import stream

WHY = "the sites' variates sum to zero only where the next model is the plain mean of theirs"


@dataclass
class Scaffnew(Algorithm):
    """Sites take steps with control variates and average after a random number of steps, the same for all sites.

    Source: Mishchenko, Malinovsky, Stich, Richtárik, ProxSkip: Yes! Local Gradient Steps Provably Lead to Communication
    Acceleration! Finally!, ICML 2022, Algorithm 2.
    Rule: `y <- y - lr (g_i(y) - h_i)`; after each step all sites communicate with probability p: `x <- mean y_i`, `h_i
    <- h_i + (p / lr) (x - y_i)`. A round has a geometric number of steps, 1 / p on average.
    Values: `p = 1 / sqrt(kappa)`, kappa the condition number of the sites' objectives; p = 1 is gradient descent.
    Pitfalls: `sum h_i = 0` in every round, or the fixed point is not the optimum. All sites share the random draw: with
    separate draws they would not communicate at the same time. `local.epochs` and `local.steps` have no effect. In the
    paper every site takes part in every round, so partial participation is refused.
    """

    site_state = {"variate": "P", "local": "P", "scale": ""}
    in_time = every_site = plain_steps = True
    alone = dict.fromkeys(("uplink", "attack", "aggregator", "server"), WHY) | {
        "personal": "its variates are of the whole model"
    }

    p: float = 0.1  # [0.0001, 1], probability that a step is the last of its round

    def __post_init__(self) -> None:
        within("algorithm.p", self.p, 1e-4, 1)

    def steps(self, planned: Ints, seed: int, round: int) -> Ints:
        """Random number of steps, the same for all sites."""
        return np.full_like(planned, stream(seed, "scaffnew", round).geometric(self.p))

    def variate(self, at: Local) -> Tensor:
        """h_i, after the site has received the mean of its last round; [C, P]."""
        return at.site["variate"] + at.site["scale"][:, None] * (at.x - at.site["local"])

    def correction(self, at: Local) -> Correction:
        """-h_i."""
        return Correction(drift=-self.variate(at))

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change; the site keeps h_i, y_i and p / lr of this round, from which the next h_i is computed."""
        kept = {"variate": self.variate(at), "local": w, "scale": (at.rows * 0 + self.p / at.lr)}
        return {"delta": w - at.x}, kept
