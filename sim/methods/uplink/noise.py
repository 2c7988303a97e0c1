"""Noise that the server adds to the mean of bounded uploads: differential privacy of whole sites."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Message, State
from sim.methods.uplink.base import FIELD, LEVELS, SPARSE, VALUES, Arrived, Transform
from sim.methods.uplink.clip import normal


@dataclass
class Noise(Transform):
    """Base class of noise at the server: it changes neither the messages nor the norms of uploads."""

    takes = (VALUES, SPARSE, LEVELS, FIELD)
    noises = True

    multiplier: float = 1.0  # >= 0, sd of the noise divided by the largest norm of an upload; the papers' z

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
    Values: z 0.3 to 1.1 with thousands of sites. With ten hospitals, the noise for an epsilon near 1 is larger than the
    mean. The run's record gives the epsilon. With adaptiveclip this z is the paper's z_Delta, and its bits have an
    additional privacy cost.
    Pitfalls: weights n_k make a site's influence proportional to its patients; noise at every site and at the server
    adds noise twice; a standard deviation of z C without the factor 1 / m on a mean; an epsilon for sampled sites
    although sites are not sampled.
    """

    def decode(self, mean: Tensor, at: Arrived, draw: Draw) -> Tensor:
        """The mean with noise."""
        return mean + self.multiplier * at.reach / len(at.heard.sites) * normal(draw, "noise")


@dataclass
class TreeNoise(Noise):
    """Adds the noise of a binary tree to prefix sums of the means: DP-FTRL, which needs no random sampling of sites.

    Source: Kairouz et al., Practical and Private (Deep) Learning Without Sampling or Shuffling, ICML 2021, Algorithm 1.
    Rule: update t of a tree closes the nodes over the last `2^j` updates for every j with `2^j | t`; the sum of updates
    1 to t carries the noise `N(0, (z C / m)^2 I)` of each node in the binary expansion of t. The server adds the
    difference of two such sums to the mean. A new tree begins after `restart` updates.
    Values: z 1 to 10; restart is the number of updates in a pass over all sites, so that each is heard once per tree.
    Pitfalls: independent noise in every round is `gaussian`, whose noise accumulates. A site that is heard k times in a
    tree costs up to k^2 as much in a node, which the run's record takes into account. Some implementations lose the
    noise of earlier trees at a restart.
    """

    server_state = {"updates": ""}  # so far

    restart: int = 0  # >= 0 updates per tree; 0 = a single tree

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
        """Count one more update."""
        return {"updates": state["updates"] + torch.ones_like(state["updates"])}
