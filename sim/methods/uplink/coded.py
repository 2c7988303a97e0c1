"""Codes with few bits per entry of a vector: levels, signs, and signs of the largest entries."""

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Local, State
from sim.methods.shorten import row_lengths
from sim.methods.uplink.base import LEVELS, SPARSE, VALUES, Encoded, Transform, Wire
from sim.methods.uplink.topk import index_bits, share


@dataclass
class QSGD(Transform):
    """Every entry is rounded at random to one of `levels` multiples of the vector's norm; unbiased.

    Source: Alistarh et al., QSGD: Communication-Efficient SGD via Gradient Quantization and Encoding, NIPS 2017.
    Rule: `r = s |u_i| / |u|`; `xi = floor(r) + 1` with probability `r - floor(r)`, else `floor(r)`; send `|u| sign(u_i)
    xi / s`. The norm is sent, and a sign and a level in `1 + ceil(log2(s + 1))` bits per entry.
    Values: s 1 to 15 (1 to 4 bits per level); after topk it codes the entries that topk keeps.
    Pitfalls: rounding to the nearest level is biased; using the largest entry instead of the norm is another code; some
    implementations count the bytes of Elias codes but send floats.
    """

    takes = (VALUES, SPARSE)
    gives = LEVELS
    sends = ("norm",)

    levels: int = 15  # [1, 65535], the paper's s

    def __post_init__(self) -> None:
        within("uplink.qsgd.levels", self.levels, 1, 65535)

    @property
    def level_bits(self) -> int:
        """Bits of a level."""
        return math.ceil(math.log2(self.levels + 1))

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Levels times the norm of each vector."""
        norm = row_lengths(u).to(u.dtype)[:, None]
        level = self.levels * (u.abs() / torch.where(norm > 0, norm, 1))  # no entry is longer than all: never above s
        below = level.floor()
        sent = norm * u.sign() * ((below + (draw("up") < level - below)) / self.levels)
        return Encoded(sent, {}, {"norm": norm[:, 0]})

    def reach(self, before: float, size: int, state: State) -> float:
        """Every entry may be rounded up by one level."""
        return before * (1 + math.sqrt(size) / self.levels)

    def wire(self, size: Wire) -> Wire:
        """A sign and a level for each value; the norm is a number beside them."""
        return size._replace(bits=1 + self.level_bits)


@dataclass
class Sign(Transform):
    """Sends the signs and one common magnitude; the remainder is kept at the site and added later.

    Source: Karimireddy et al., Error Feedback Fixes SignSGD and other Gradient Compression Schemes, ICML 2019.
    Rule: `a = u + e`; send `sign(a) |a|_1 / P`, where an entry of zero counts as positive; `e <- a - sent`.
    Values: only `feedback`.
    Pitfalls: without feedback, or without the scale, it need not converge even on convex problems (the paper's
    counterexamples); a sign of zero is a third value and does not fit into a bit.
    """

    takes = (VALUES,)
    gives = LEVELS
    site_state = {"error": "P"}

    feedback: bool = True  # keep what the code loses at the site and add it in the next round

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Scaled signs."""
        whole = u + at.site["error"] if self.feedback else u
        scale = whole.abs().sum(1, keepdim=True) / max(whole.shape[1], 1)
        sent = torch.where(whole >= 0, scale, -scale)
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(whole)})

    def reach(self, before: float, size: int, state: State) -> float:
        """`|a|_1 / sqrt(P) <= |a|`."""
        return math.inf if self.feedback else before

    def wire(self, size: Wire) -> Wire:
        """A bit for each value, and the scale."""
        return size._replace(bits=1, extra_bytes=norm_bytes(size))


@dataclass
class STC(Transform):
    """Sparse ternary compression: sends the largest entries as signs with one common magnitude, optionally also down.

    Source: Sattler et al., Robust and Communication-Efficient Federated Learning from Non-IID Data, TNNLS 2019.
    Rule: `a = u + e`; T is the set of the k largest entries of `a`; send `mu sign(a)` on T, with `mu` the mean of `|a|`
    on T, where zero counts as positive; `e <- a - sent`. With `downlink` the server compresses its step in the same
    way, with its own error, and the model of server and sites is the sum of the compressed steps.
    Values: ratio 0.0025 to 0.04 (the paper's p = 1/400, 1/100, 1/25).
    Pitfalls: some implementations leave the downlink dense but count it as sparse. Positions are counted here with
    fixed width, not with the paper's Golomb code, which takes fewer bits. A site that misses a round would have to
    fetch the steps it missed, so `downlink` requires every site in every round.
    """

    takes = (VALUES,)
    gives = LEVELS
    site_state = {"error": "P"}
    server_state = {"down": "P"}

    ratio: float = 0.01  # (0, 1], share of the entries that are sent; at least one
    downlink: bool = False  # whether the server also codes its steps

    def __post_init__(self) -> None:
        within("uplink.stc.ratio", self.ratio, 0, 1, open_low=True)

    @property
    def lowers(self) -> bool:
        """Whether the server's step is ternarised too."""
        return self.downlink

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Ternary vectors."""
        whole = u + at.site["error"]
        sent = self.ternary(whole)
        return Encoded(sent, {"error": whole - sent})

    def down(self, step: Tensor, state: State, draw: Draw) -> tuple[Tensor, State]:
        """A ternary step, with feedback at the server."""
        whole = step + state["down"]
        sent = self.ternary(whole[None])[0]
        return sent, {"down": whole - sent}

    def ternary(self, whole: Tensor) -> Tensor:
        """Signs of the k largest entries, times the mean of their sizes; [C, P]."""
        size, place = whole.abs().topk(share(self.ratio, whole.shape[1]), dim=1, sorted=False)
        mean = size.sum(1, keepdim=True) / max(size.shape[1], 1)
        return torch.zeros_like(whole).scatter(1, place, torch.where(whole.gather(1, place) >= 0, mean, -mean))

    def wire(self, size: Wire) -> Wire:
        """A sign and a place for each of k values, and their common size."""
        if not size.values:
            return size
        count = share(self.ratio, size.values)
        return size._replace(values=count, bits=1, index_bits=index_bits(size.values), extra_bytes=norm_bytes(size))


def norm_bytes(size: Wire) -> int:
    """Bytes with one more number in the precision of the values."""
    return size.extra_bytes + (math.ceil(size.bits / 8) if size.values else 0)
