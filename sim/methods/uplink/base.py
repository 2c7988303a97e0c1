"""Uplink: what happens to every vector of a message between a site and the server, the sites' half and the server's."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sim.lazy import Tensor
from sim.methods.contract import Draw, Heard, Local, Message, Role, State


class Wire(NamedTuple):
    """What one encoded vector takes in a message; known before training."""

    values: int  # numbers that are sent
    bits: float  # of each value
    index_bits: int = 0  # of the place of each value
    extra_bytes: int = 0  # scales, seeds, framing

    @property
    def bytes(self) -> int:
        """Whole bytes."""
        return math.ceil(self.values * (self.bits + self.index_bits) / 8) + self.extra_bytes


class Encoded(NamedTuple):
    """What leaves a site."""

    vector: Tensor  # [C, P] as the server decodes it
    state: State  # all of the transform's site_state
    scalars: Message = {}  # all of the transform's `sends`, each [C]


@dataclass
class Transform(Role):
    """One entry of the `uplink` config group; as it is, a vector passes unchanged.

    Each vector of the message has a state of its own. At the sites, `at.site` and `at.server` hold this transform's
    state for the vector at hand, and nothing else.
    """

    axis = "uplink"

    sends: ClassVar[tuple[str, ...]] = ()  # scalars beside the vector

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Encode one vector of C sites; [C, P]."""
        return Encoded(u, {})

    def decode(self, mean: Tensor, heard: Heard, draw: Draw) -> Tensor:
        """The server's half, on the aggregate; in reverse order of the uplink; [P] -> [P]."""
        return mean

    def learn(self, sent: Message, state: State) -> State:
        """New server state from this transform's scalars, each [M]."""
        return state

    def wire(self, size: Wire) -> Wire:
        """Size of the encoded vector from the size before."""
        return size
