"""Uplink: encoding of every vector of a message at the sites, and decoding at the server."""

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
    """Size of one encoded vector in a message; known before training."""

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
    """What the server's half of a transform receives in addition to the aggregate."""

    heard: Heard
    state: State  # all of the transform's server_state
    reach: float  # largest norm of one upload of this vector, after the whole uplink; inf = no bound is known


@dataclass
class Transform(Role):
    """One entry of the `uplink` config group; this base class leaves vectors unchanged.

    Each vector of the message has its own state. At the sites, `at.site` and `at.server` hold only this transform's
    state for the current vector.
    """

    axis = "uplink"

    sends: ClassVar[tuple[str, ...]] = ()  # scalars beside the vector
    scalar_bits: ClassVar[Mapping[str, int]] = {}  # of those that take less than a number of the message's precision
    takes: ClassVar[tuple[str, ...]] = (VALUES, SPARSE, LEVELS)  # forms that a vector may have when it is encoded
    gives: ClassVar[str] = ""  # its form after that; empty = the one it had
    noises: ClassVar[bool] = False  # whether the server's half adds the noise of differential privacy
    hides: ClassVar[bool] = False  # whether the server sees the sum of the uploads alone

    def over(self, shapes: Sequence[tuple[int, ...]]) -> Transform:
        """The transform for a vector that concatenates parameters of these shapes."""
        return self

    @property
    def lowers(self) -> bool:
        """Whether the server's step is compressed for the download, by `down`."""
        return False

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Encode one vector of C sites; [C, P]."""
        return Encoded(u, {})

    def decode(self, mean: Tensor, at: Arrived, draw: Draw) -> Tensor:
        """The server's half, applied to the aggregate in reverse order of the uplink; [P] -> [P]."""
        return mean

    def learn(self, sent: Message, state: State, draw: Draw) -> State:
        """New server state from this transform's scalars, each [M]; a draw is a single number, []."""
        return state

    def down(self, step: Tensor, state: State, draw: Draw) -> tuple[Tensor, State]:
        """What server and sites add to the model for the server's step [P], and the new server state."""
        return step, state

    def reach(self, before: float, size: int, state: State) -> float:
        """Largest norm of an encoded vector of so many entries, if its norm was at most `before`."""
        return math.inf

    def wire(self, size: Wire) -> Wire:
        """Size of the encoded vector from the size before."""
        return size

    def protocol(self, asked: int) -> tuple[int, int]:
        """Bytes of keys and shares that a site downloads and uploads in a round that asks so many sites."""
        return 0, 0

    def least(self, asked: int) -> int:
        """Minimum number of uploads for an update, given the number of asked sites."""
        return 1
