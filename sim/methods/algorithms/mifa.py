"""MIFA: sites that do not answer count with what they last sent."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class MIFA(Algorithm):
    """MIFA, memory-augmented impatient federated averaging: the latest update of every site counts in every round.

    Source: Gu, Huang, Zhang, Huang, Fast Federated Learning in the Presence of Arbitrary Device Unavailability,
    NeurIPS 2021, Algorithm 1.
    Rule: `G_i = Delta_i` of the last round in which site i answered, `w <- w + sum_i p_i G_i` over all sites. A site
    sends the change of its `G_i` and the server adds it to their mean, which is the same with one vector of memory.
    Values: no hyper-parameter of its own; the paper lets lr fall with the round [M].
    Pitfalls: the mean taken over the sites that answered, which is FedAvg; memory that starts at 0 makes the first
    steps short, for a site that was never heard of counts with 0 (the paper has all sites answer in the first round
    [M]). Where all answer this is FedAvg to rounding; with some it comes to rest where FedAvg of all does.
    """

    site_state = {"last": "P"}
    server_state = {"memory": "P"}
    sends = {"change": "P"}
    in_time = True  # a change that is late or discounted would stay in the memory for good

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The new update less the last."""
        delta = w - at.x
        return {"change": delta - at.site["last"]}, {"last": delta}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean of all sites' latest updates."""
        memory = state["memory"] + heard.share * heard.mean["change"]
        return memory, {"memory": memory}
