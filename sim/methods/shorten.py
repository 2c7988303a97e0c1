"""Vectors shortened to a bound on their length: one rule for uplinks, aggregators and gradients of single rows."""

from sim.lazy import Tensor, torch


def shortening(norm: Tensor, bound: float) -> Tensor:
    """`min(1, bound / norm)` of each length, [M]: exactly 1 for one that is as long as the bound."""
    return torch.where(norm <= bound, torch.ones_like(norm), bound / norm)


def row_lengths(u: Tensor) -> Tensor:
    """Length of every row in double precision, in which no square of a single one overflows; [C, P] -> [C]."""
    length: Tensor = torch.linalg.vector_norm(u, dim=1, dtype=torch.float64)
    return length
