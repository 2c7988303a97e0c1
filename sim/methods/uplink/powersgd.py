"""Low rank: every matrix of a network's update is sent as two thin factors; the rest is kept at the site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from sim.checks import Refused, within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Local
from sim.methods.uplink.base import FACTORS, VALUES, Encoded, Transform, Wire

Shapes = tuple[tuple[int, ...], ...]


class Matrix(NamedTuple):
    """A parameter that is sent as factors."""

    place: int  # where it begins in the vector
    rows: int
    columns: int


@dataclass
class PowerSGD(Transform):
    """Sends every matrix of an update as two thin factors, computed by one step of the power method.

    Source: Vogels, Karimireddy, Jaggi, PowerSGD: Practical Low-Rank Gradient Compression for Distributed Optimization,
    NeurIPS 2019, Algorithm 1. In the paper both factors are averaged in turn, in two exchanges. Here there is one
    exchange: every site sends the two factors of its own update, and the server averages their products.
    Rule: for each matrix `M` of `u + e`, [m, n]: `P <- orthonormal(M Q)`, `Q <- M^T P`; send P and Q, which is `P P^T
    M`; `e <- M - P Q^T`. Q is kept for the site's next round; initially, and whenever it is zero, it is random.
    Values: rank 1 to 4. [M]
    Pitfalls: unless Q is kept, one step of the power method approximates poorly; a Q that has become zero remains zero;
    without feedback the limit is biased. Vectors, and matrices that are no larger than their factors, are sent
    unchanged, so a linear model would save nothing and is refused.
    """

    takes = (VALUES,)
    gives = FACTORS
    site_state = {"error": "P", "right": "P"}

    rank: int = 2  # >= 1, columns of each factor
    feedback: bool = True  # keep what is not sent at the site and add it in the next round

    def __post_init__(self) -> None:
        within("uplink.powersgd.rank", self.rank, 1)
        self.shapes: Shapes = ()  # of the parameters that travel; none are known before `over`

    def over(self, shapes: Sequence[tuple[int, ...]]) -> PowerSGD:
        """The transform for parameters of these shapes; refuses those of which none is larger than its factors."""
        made = copy(self)
        made.shapes = tuple(shapes)
        if shapes and not any(True for _ in made.matrices()):
            raise Refused(
                f"uplink.powersgd.rank={self.rank}: no parameter is a matrix larger than its factors of that rank "
                f"({', '.join(str(list(shape)) for shape in shapes)}), so nothing would be saved. Lower it, or use "
                "net=mlp or uplink=[topk]."
            )
        return made

    def matrices(self) -> Iterator[Matrix]:
        """Parameters that are sent as factors; one of more axes counts as a matrix of its first and all others."""
        place = 0
        for shape in self.shapes:
            if len(shape) > 1 and self.rank * (shape[0] + prod(shape[1:])) < prod(shape):
                yield Matrix(place, shape[0], prod(shape[1:]))
            place += prod(shape)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Products of the factors; all that is sent as it is stays."""
        whole = u + at.site["error"] if self.feedback else u
        sent, right = whole.clone(), torch.zeros_like(u)
        for one, left, back in self.factors(whole, at, draw):
            sent[:, one.place : one.place + one.rows * one.columns] = (left @ back.mT).flatten(1)
            right[:, one.place : one.place + one.columns * self.rank] = back.flatten(1)
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(u), "right": right})

    def factors(self, whole: Tensor, at: Local, draw: Draw) -> Iterator[tuple[Matrix, Tensor, Tensor]]:
        """Every matrix with its factors P [C, m, r], of orthonormal columns, and Q [C, n, r]."""
        random = draw("start") - 0.5
        for one in self.matrices():
            m = whole[:, one.place : one.place + one.rows * one.columns].reshape(-1, one.rows, one.columns)
            kept, fresh = (
                part[:, one.place : one.place + one.columns * self.rank].reshape(-1, one.columns, self.rank)
                for part in (at.site["right"], random)
            )
            q = torch.where(kept.abs().sum(1, keepdim=True) > 0, kept, fresh)
            left = torch.linalg.qr(m @ q).Q
            yield one, left, m.mT @ left

    def reach(self, before: float, size: int, state: dict[str, Tensor]) -> float:
        """Without an error to add, a projection is no longer than what came in."""
        return super().reach(before, size, state) if self.feedback else before

    def wire(self, size: Wire) -> Wire:
        """r (m + n) values for each matrix; all others as they are."""
        saved = sum(one.rows * one.columns - self.rank * (one.rows + one.columns) for one in self.matrices())
        return size._replace(values=size.values - saved)
