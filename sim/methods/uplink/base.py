"""Uplink: what happens to every vector of a message between a site and the server, the sites' half and the server's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sim.lazy import Tensor
from sim.methods.contract import Draw, Heard, Local, Message, Role, State

# Forms of a vector on its way.
VALUES, SPARSE, LEVELS, FIELD, FACTORS = "as it was", "sparse", "coded", "in a field", "in factors"


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


class Arrived(NamedTuple):
    """What the server's half of a transform knows beside the aggregate."""

    heard: Heard
    state: State  # all of the transform's server_state
    reach: float  # largest norm of one upload of this vector, after the whole uplink; inf = no bound is known


@dataclass
class Transform(Role):
    """One entry of the `uplink` config group; as it is, a vector passes unchanged.

    Each vector of the message has a state of its own. At the sites, `at.site` and `at.server` hold this transform's
    state for the vector at hand, and nothing else.
    """

    axis = "uplink"

    sends: ClassVar[tuple[str, ...]] = ()  # scalars beside the vector
    scalar_bits: ClassVar[Mapping[str, int]] = {}  # of those that take less than a number of the message's precision
    takes: ClassVar[tuple[str, ...]] = (VALUES, SPARSE, LEVELS)  # forms that a vector may have when it is encoded
    gives: ClassVar[str] = ""  # its form after that; empty = the one it had
    noises: ClassVar[bool] = False  # whether the server's half adds the noise of differential privacy
    hides: ClassVar[bool] = False  # whether the server sees the sum of the uploads alone

    def over(self, shapes: Sequence[tuple[int, ...]]) -> Transform:
        """The transform for a vector of parameters of these shapes, one after the other."""
        return self

    @property
    def lowers(self) -> bool:
        """Whether the server's step is compressed on its way down, by `down`."""
        return False

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Encode one vector of C sites; [C, P]."""
        return Encoded(u, {})

    def decode(self, mean: Tensor, at: Arrived, draw: Draw) -> Tensor:
        """The server's half, on the aggregate; in reverse order of the uplink; [P] -> [P]."""
        return mean

    def learn(self, sent: Message, state: State, draw: Draw) -> State:
        """New server state from this transform's scalars, each [M]; a draw is a single number, []."""
        return state

    def down(self, step: Tensor, state: State, draw: Draw) -> tuple[Tensor, State]:
        """What is added to the model of server and sites for the server's step [P], and the new server state."""
        return step, state

    def reach(self, before: float, size: int, state: State) -> float:
        """Largest norm of an encoded vector of so many entries, where none is longer than `before` on its way in."""
        return math.inf

    def wire(self, size: Wire) -> Wire:
        """Size of the encoded vector from the size before."""
        return size

    def protocol(self, asked: int) -> tuple[int, int]:
        """Bytes of keys and the like that a site downloads and uploads in a round in which so many are asked."""
        return 0, 0

    def least(self, asked: int) -> int:
        """Uploads without which an update is abandoned, of so many sites that were asked."""
        return 1
