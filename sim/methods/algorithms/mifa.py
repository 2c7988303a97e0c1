"""MIFA: sites that do not answer are represented by their last update."""

from dataclasses import dataclass

from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class MIFA(Algorithm):
    """Memory-augmented impatient federated averaging: every round uses the latest update of every site.

    Source: Gu, Huang, Zhang, Huang, Fast Federated Learning in the Presence of Arbitrary Device Unavailability, NeurIPS
    2021, Algorithm 1.
    Rule: `G_i = Delta_i` of the last round in which site i answered, `w <- w + sum_i p_i G_i` over all sites. A site
    sends the change of its `G_i` and the server adds it to the mean, which gives the same result and needs the memory
    of one vector.
    Values: no setting of its own; in the paper lr decreases with the round [M].
    Pitfalls: averaging only over the sites that answered is FedAvg. A memory that starts at 0 makes the first steps
    short, because a site that was never heard counts as 0 (in the paper all sites answer in the first round [M]). If
    all sites answer, this is FedAvg up to rounding; if only some do, it converges to the same point as FedAvg with all
    of them.
    """

    site_state = {"last": "P"}
    server_state = {"memory": "P"}
    sends = {"change": "P"}
    in_time = True  # a change that is late or discounted would stay in the memory for good

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The new update minus the last one."""
        delta = w - at.x
        return {"change": delta - at.site["last"]}, {"last": delta}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean of all sites' latest updates."""
        memory = state["memory"] + heard.share * heard.mean["change"]
        return memory, {"memory": memory}
