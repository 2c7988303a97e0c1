"""Secure aggregation, simulated: the server learns only the sum of the uploads."""

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.contract import Draw, Local, State
from sim.methods.uplink.base import FIELD, VALUES, Encoded, Transform, Wire

KEY, SHARE = 32, 48  # bytes of a public key (X25519), and of a share of a secret, encrypted with its tag


@dataclass
class SecAgg(Transform):
    """Encodes uploads as integers in a ring, hidden by masks that cancel in the sum; a simulation, not cryptography.

    Source: Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017.
    Rule: `q_i = round(2^fraction u_i)`, clamped to `bits` bits; site i sends `w_i q_i + b_i + sum_{j>i} s_ij -
    sum_{j<i} s_ij mod 2^field`. Secrets are shared among all asked sites. If at least `threshold` of them answer, the
    masks s_ij of those that did not, and the individual masks b_i of those that did, are recovered, and the server
    obtains `sum w_i q_i`. Otherwise the update is abandoned.
    Values: fraction 16, bits 20, field 40 represent values up to +-8 and a total weight of a million patients;
    threshold 2/3.
    Pitfalls: a sum that overflows the ring; floating-point masks, which cancel only up to rounding; omitted individual
    masks, which reveal the late upload of a site that was considered lost; shares and keys that are not counted as
    bytes. Here the engine adds up the unmasked numbers, because the masks cancel exactly: `sim.methods.uplink.masks`
    implements the protocol, and a certificate compares a round of it with the engine's sum.
    """

    takes = (VALUES,)
    gives = FIELD
    hides = True

    fraction: int = 16  # [0, 40] binary digits after the binary point
    bits: int = 20  # [2, 24] bits of a value, including its sign
    field: int = 40  # [8, 53] bits of a number that is sent: log2 of the ring's size
    threshold: float = 2 / 3  # (0.5, 1], share of the asked sites that must answer

    def __post_init__(self) -> None:
        within("uplink.secagg.fraction", self.fraction, 0, 40)
        within("uplink.secagg.bits", self.bits, 2, 24)
        within("uplink.secagg.field", self.field, 8, 53)
        within("uplink.secagg.threshold", self.threshold, 0.5, 1, open_low=True)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Multiples of `2^-fraction`, which double precision adds up without rounding."""
        most = 2 ** (self.bits - 1) - 1
        return Encoded((u * 2.0**self.fraction).round().clamp(-most, most) * 2.0**-self.fraction, {})

    def reach(self, before: float, size: int, state: State) -> float:
        """Half a step more in every entry."""
        return before + math.sqrt(size) * 2.0 ** -(self.fraction + 1)

    def wire(self, size: Wire) -> Wire:
        """A number of the ring for each value."""
        return size._replace(bits=self.field)

    def holds(self, weight: float) -> bool:
        """Whether sums of this total weight fit into the ring."""
        most: int = 2 ** (self.bits - 1) - 1
        return weight * most < 2.0 ** (self.field - 1)

    def least(self, asked: int) -> int:
        """The threshold of the secret sharing."""
        return max(math.ceil(self.threshold * asked - 1e-9), 1)

    def protocol(self, asked: int) -> tuple[int, int]:
        """Two public keys of each, two encrypted shares for each other site, and at the end a share of each secret."""
        others = max(asked - 1, 0)
        return 2 * others * (KEY + SHARE), 2 * KEY + 2 * others * SHARE + others * KEY
