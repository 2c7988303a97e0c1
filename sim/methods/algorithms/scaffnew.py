"""Scaffnew: gradient descent at the sites that communicates by the toss of a coin, and is exact."""

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
    """Sites step with control variates and average after a random number of steps, the same for all.

    Source: Mishchenko, Malinovsky, Stich, Richtárik, ProxSkip: Yes! Local Gradient Steps Provably Lead to Communication
        Acceleration! Finally!, ICML 2022, Algorithm 2.
    Rule: `y <- y - lr (g_i(y) - h_i)`; after each step all sites communicate with probability p:
        `x <- mean y_i`, `h_i <- h_i + (p / lr) (x - y_i)`. A round has a geometric number of steps, 1 / p on average.
    Values: `p = 1 / sqrt(kappa)`, kappa the condition number of the sites' objectives; p = 1 is gradient descent.
    Pitfalls: `sum h_i = 0` in every round, or the fixed point is not the optimum. The coin is one for all sites: sites
        that toss their own do not communicate at the same time. `local.epochs` and `local.steps` say nothing here. The
        paper has every site in every round, so that partial participation is refused.
    """

    site_state = {"variate": "P", "local": "P", "scale": ""}
    in_time = every_site = plain_steps = True
    alone = dict.fromkeys(("uplink", "attack", "aggregator", "server"), WHY) | {
        "personal": "its variates are of the whole model"
    }

    p: float = 0.1  # [0.0001, 1], chance that a step is the last of its round

    def __post_init__(self) -> None:
        within("algorithm.p", self.p, 1e-4, 1)

    def steps(self, planned: Ints, seed: int, round: int) -> Ints:
        """Steps until the coin falls, for all sites."""
        return np.full_like(planned, stream(seed, "scaffnew", round).geometric(self.p))

    def variate(self, at: Local) -> Tensor:
        """h_i, once the site has seen the mean that its last round led to; [C, P]."""
        return at.site["variate"] + at.site["scale"][:, None] * (at.x - at.site["local"])

    def correction(self, at: Local) -> Correction:
        """-h_i."""
        return Correction(drift=-self.variate(at))

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change; kept is what h_i follows from when the mean comes back: h_i, y_i and p / lr of this round."""
        kept = {"variate": self.variate(at), "local": w, "scale": (at.rows * 0 + self.p / at.lr)}
        return {"delta": w - at.x}, kept
