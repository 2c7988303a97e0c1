"""Top-k: the largest entries of a vector are sent, the rest waits at the site."""

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Local
from sim.methods.uplink.base import Encoded, Transform, Wire


@dataclass
class TopK(Transform):
    """Stich, Cordonnier, Jaggi, Sparsified SGD with Memory, NeurIPS 2018: `a = u + e`, send top(a), `e <- a - top(a)`.

    Each value travels with its place. Without `feedback` what is not sent is lost, and the limit is biased.
    """

    site_state = {"error": "P"}

    ratio: float = 0.1  # (0, 1], share of the entries that are sent; at least one
    feedback: bool = True

    def __post_init__(self) -> None:
        within("uplink.topk.ratio", self.ratio, 0, 1, open_low=True)

    def count(self, size: int) -> int:
        """Entries of a vector of this length that are sent."""
        return min(max(math.ceil(self.ratio * size - 1e-9), 1), size)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Sparse vectors, zero where nothing was sent."""
        whole = u + at.site["error"] if self.feedback else u
        if not whole.shape[1]:
            return Encoded(whole, {"error": whole})
        place = whole.abs().topk(self.count(whole.shape[1]), dim=1, sorted=False).indices
        sent = torch.zeros_like(whole).scatter(1, place, whole.gather(1, place))
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(whole)})

    def wire(self, size: Wire) -> Wire:
        """k values, each with the bits of a place among those before."""
        if not size.values:
            return size
        return size._replace(values=self.count(size.values), index_bits=max(math.ceil(math.log2(size.values)), 1))
