"""Aggregators: one message from many."""

from dataclasses import dataclass
from typing import ClassVar

from sim.lazy import Tensor
from sim.methods.contract import Message, Role


@dataclass
class Aggregator(Role):
    """One entry of the `aggregator` config group."""

    axis = "aggregator"

    whole: ClassVar[bool] = True  # the server must see single uploads, which secure aggregation forbids
    equal: ClassVar[bool] = False  # every upload counts the same, whatever its weight

    @property
    def least(self) -> int:
        """Uploads without which an update is abandoned."""
        return 1

    def combine(self, sent: Message, p: Tensor) -> Message:
        """Aggregate of every part of the message; each [M, P] or [M], p [M] with sum 1 -> [P] or []."""
        raise NotImplementedError


@dataclass
class Mean(Aggregator):
    """The weighted mean. The engine takes it from sums over chunks of sites, so that no upload travels alone."""

    whole = False

    def combine(self, sent: Message, p: Tensor) -> Message:
        """`sum p_i u_i`, in double precision."""
        return {name: (p.double() @ part.double()).to(part.dtype) for name, part in sent.items()}
