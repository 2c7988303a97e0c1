"""Noise that the server adds to the mean of bounded uploads: differential privacy of whole sites."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Message, State
from sim.methods.uplink.base import FIELD, LEVELS, SPARSE, VALUES, Arrived, Transform
from sim.methods.uplink.clip import normal


@dataclass
class Noise(Transform):
    """What noise at the server has in common: it is no part of what travels, and lengthens no upload."""

    takes = (VALUES, SPARSE, LEVELS, FIELD)
    noises = True

    multiplier: float = 1.0  # >= 0, deviation of the noise over the largest norm of an upload, the papers' z

    def __post_init__(self) -> None:
        within(f"uplink.{type(self).__name__.lower()}.multiplier", self.multiplier, 0)

    def reach(self, before: float, size: int, state: State) -> float:
        """What it was."""
        return before


@dataclass
class Gaussian(Noise):
    """The server adds Gaussian noise once to the mean of clipped uploads: central differential privacy of sites.

    Source: McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018.
    Rule: `mean_i clip_C(u_i) + N(0, (z C / m)^2 I)` for the m sites whose uploads the update takes, equally weighted.
    Values: z 0.3 to 1.1 with thousands of sites; with ten hospitals an epsilon near 1 drowns the mean; the run's record
    says what was bought. With adaptiveclip this z is the paper's z_Delta, and its bits cost beside it.
    Pitfalls: weights n_k make one site's share as large as its patients; noise at every site and at the server is added
    twice; a deviation of z C without 1 / m on a mean; an epsilon for sampled sites where sites are not sampled.
    """

    def decode(self, mean: Tensor, at: Arrived, draw: Draw) -> Tensor:
        """The mean with noise."""
        return mean + self.multiplier * at.reach / len(at.heard.sites) * normal(draw, "noise")


@dataclass
class TreeNoise(Noise):
    """The noise of a binary tree on prefix sums of the means: DP-FTRL, which needs no random sampling of sites.

    Source: Kairouz et al., Practical and Private (Deep) Learning Without Sampling or Shuffling, ICML 2021, Algorithm 1.
    Rule: update t of a tree closes the nodes over the last `2^j` updates for every j with `2^j | t`; the sum of updates
    1 to t carries the noise `N(0, (z C / m)^2 I)` of each node in the binary expansion of t. The server adds the
    difference of two such sums to the mean. A new tree begins after `restart` updates.
    Values: z 1 to 10; restart as many updates as a pass over all sites takes, so that each is heard once in a tree.
    Pitfalls: fresh noise in every round is `gaussian`, and its noise adds up; a site that is heard k times in a tree
    costs up to k^2 as much in a node, which the record of the run counts; trees that forget their noise at a restart.
    """

    server_state = {"updates": ""}  # so far

    restart: int = 0  # >= 0 updates of a tree; 0 = one tree for all

    def __post_init__(self) -> None:
        super().__post_init__()
        within("uplink.treenoise.restart", self.restart, 0)

    def decode(self, mean: Tensor, at: Arrived, draw: Draw) -> Tensor:
        """The mean and the noise by which the prefix sum's noise changes."""
        before = max(int(at.state["updates"]), 0)
        now, leaf = before + 1, (before % self.restart if self.restart else before) + 1
        noise, span = normal(draw, "node", now), 1
        while leaf % (2 * span) == 0:  # nodes of the last 1, 2, 4 ... updates make way for one over all of them
            noise = noise - normal(draw, "node", now - span)
            span *= 2
        return mean + self.multiplier * at.reach / len(at.heard.sites) * noise

    def learn(self, sent: Message, state: State, draw: Draw) -> State:
        """One more update."""
        return {"updates": state["updates"] + torch.ones_like(state["updates"])}
