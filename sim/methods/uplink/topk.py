"""Sparsification: the largest or random entries of a vector are sent; the rest is kept at the site."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Local, State
from sim.methods.uplink.base import SPARSE, VALUES, Encoded, Transform, Wire


def share(ratio: float, size: int) -> int:
    """Entries of a vector of this length that are sent: the ratio rounded up, at least one; 0 of none."""
    return min(max(math.ceil(ratio * size - 1e-9), 1), size)


def index_bits(size: int) -> int:
    """Bits of a place among so many."""
    return max(math.ceil(math.log2(max(size, 1))), 1)


def only(whole: Tensor, place: Tensor) -> Tensor:
    """A vector that is zero but at some places; [C, P], [C, k] -> [C, P]."""
    return torch.zeros_like(whole).scatter(1, place, whole.gather(1, place))


@dataclass
class TopK(Transform):
    """Sends the entries of largest magnitude with their positions; the rest is kept at the site and added later.

    Source: Stich, Cordonnier, Jaggi, Sparsified SGD with Memory, NeurIPS 2018.
    Rule: `a = u + e`; send the k largest entries of `a`; `e <- a - sent`. Without `feedback` what is not sent is lost.
    Values: ratio 0.01 (0.001 to 0.1). [M]
    Pitfalls: counting bytes without the positions; int(ratio P), which is 0 for a small layer; choosing the largest
    signed values instead of magnitudes; an error that still contains what was sent. Without feedback the limit is
    biased.
    """

    takes = (VALUES,)
    gives = SPARSE
    site_state = {"error": "P"}

    ratio: float = 0.1  # (0, 1], share of the entries that are sent; at least one
    feedback: bool = True  # keep what is not sent at the site and add it in the next round

    def __post_init__(self) -> None:
        within("uplink.topk.ratio", self.ratio, 0, 1, open_low=True)

    def count(self, size: int) -> int:
        """Entries of a vector of this length that are sent."""
        return share(self.ratio, size)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Sparse vectors, zero where nothing was sent."""
        whole = u + at.site["error"] if self.feedback else u
        if not whole.shape[1]:
            return Encoded(whole, {"error": whole})
        sent = only(whole, whole.abs().topk(self.count(whole.shape[1]), dim=1, sorted=False).indices)
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(whole)})

    def reach(self, before: float, size: int, state: State) -> float:
        """Without an error to add, what is sent is no longer than what came in."""
        return math.inf if self.feedback else before

    def wire(self, size: Wire) -> Wire:
        """k values, each with the bits of a place among those before."""
        if not size.values:
            return size
        return size._replace(values=self.count(size.values), index_bits=index_bits(size.values))


@dataclass
class RandomK(Transform):
    """Sends random entries; their positions follow from a key that site and server share, and are not sent.

    Source: Stich, Cordonnier, Jaggi, Sparsified SGD with Memory, NeurIPS 2018; Konecny et al., arXiv 1610.05492, 2016.
    Rule: k positions without replacement, drawn again for every site and round. Without `feedback` send `(P / k) u`
    there, which is unbiased; with it `a = u + e`, send `a` there unscaled, `e <- a - sent`.
    Values: ratio 0.01 to 0.1. [M]
    Pitfalls: scaling by P / k together with feedback diverges; with the same positions at every site or in every round,
    the rest is never sent.
    """

    takes = (VALUES,)
    gives = SPARSE
    site_state = {"error": "P"}

    ratio: float = 0.1  # (0, 1], share of the entries that are sent; at least one
    feedback: bool = False  # keep what is not sent at the site and add it in the next round

    def __post_init__(self) -> None:
        within("uplink.randomk.ratio", self.ratio, 0, 1, open_low=True)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Sparse vectors, zero where nothing was sent."""
        count, size = share(self.ratio, u.shape[1]), u.shape[1]
        place = draw("place").argsort(dim=1, stable=True)[:, :count]
        if not self.feedback:
            return Encoded(only(u * (size / max(count, 1)), place), {"error": torch.zeros_like(u)})
        whole = u + at.site["error"]
        sent = only(whole, place)
        return Encoded(sent, {"error": whole - sent})

    def reach(self, before: float, size: int, state: State) -> float:
        """What is left may be the whole vector, scaled up."""
        return math.inf if self.feedback else before * size / max(share(self.ratio, size), 1)

    def wire(self, size: Wire) -> Wire:
        """k values."""
        return size._replace(values=share(self.ratio, size.values))
