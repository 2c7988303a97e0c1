"""Aggregators: combine many uploads into one message."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sim.lazy import Tensor
from sim.methods.contract import Draw, Message, Role, State
from sim.methods.sums import summed


class Combined(NamedTuple):
    """The result of an aggregator for the uploads of an update."""

    mean: Message  # name -> [P] or []
    used: Tensor | None = (
        None  # [M] in [0, 1], how much of each upload counts; 0 = left out; None = of no single upload
    )
    state: State | None = None  # what the rule keeps at the server, whole; None = nothing


@dataclass
class Aggregator(Role):
    """One entry of the `aggregator` config group.

    Its `server_state` is kept separately for each vector of the message, as `<vector>.<name>`, and is never sent.
    """

    axis = "aggregator"

    whole: ClassVar[bool] = True  # the server must see single uploads, which secure aggregation forbids
    equal: ClassVar[bool] = False  # every upload counts the same, whatever its weight

    @property
    def least(self) -> int:
        """Minimum number of uploads for an update."""
        return 1

    def fits(self, uploads: int, parameters: int = 0) -> None:
        """Refuse more uploads in an update, of so many parameters (0 = not known), than the rule can handle."""

    def combine(self, sent: Message, p: Tensor) -> Message:
        """Aggregate of every part of the message; each [M, P] or [M], p [M] with sum 1 -> [P] or []."""
        raise NotImplementedError

    def aggregate(self, sent: Message, p: Tensor, state: State, draw: Draw) -> Combined:
        """The same with what the rule kept from its last update, draws for each upload [M, 1], and who was left out."""
        return Combined(self.combine(sent, p))


@dataclass
class Mean(Aggregator):
    """The weighted mean of the uploads. The engine computes it from sums, so that no single upload is transferred.

    Source: McMahan, Moore, Ramage, Hampson, Agüera y Arcas, Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, Algorithm 1.
    Rule: `u = sum p_i u_i`, in double precision, `sum p_i = 1` over the sites that were heard. Values: none. Pitfalls:
    a single upload can move it arbitrarily far: there is no protection. Dividing by the weight of all sites instead of
    those that were heard shrinks the step when sites drop out (PFLlib).
    """

    whole = False

    def combine(self, sent: Message, p: Tensor) -> Message:
        """`sum p_i u_i`, in double precision."""
        return {name: weighted_mean(part, p) for name, part in sent.items()}


def weighted_mean(part: Tensor, p: Tensor) -> Tensor:
    """`sum p_i u_i` in double precision; [M, P] or [M], p [M] -> [P] or []."""
    return summed(part, p).to(part.dtype)
