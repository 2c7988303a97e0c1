"""Distances between all pairs of uploads, for rules that compare every site with every other."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.lazy import Tensor, torch
from sim.methods.contract import Message

FEW = 32  # uploads whose copies in double precision stay in the cache
BLOCK = 256  # uploads of a block of the Gram matrix
MOST = 4096  # uploads of which all pairs are compared


def vectors(sent: Message) -> list[Tensor]:
    """The vectors of a message, each [M, P]; scalars are left out."""
    return [part for part in sent.values() if part.dim() == 2]


def in_double(part: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of uploads in double precision, each in the same memory; [M, P] -> [m, P].

    A second copy of all uploads would cost more than the computation itself.
    """
    room = torch.empty(min(FEW, len(part)), part.shape[1], dtype=torch.float64)
    for low in range(0, len(part), FEW):
        some = slice(low, low + FEW)
        yield some, room[: len(part[some])].copy_(part[some])


def summed(part: Tensor, p: Tensor) -> Tensor:
    """`sum p_i u_i` in double precision; [M, P], p [M] -> [P]."""
    total = torch.zeros(part.shape[1], dtype=torch.float64)
    for some, block in in_double(part):
        total += p[some].double() @ block
    return total


def lengths(parts: Sequence[Tensor], centres: Sequence[Tensor] | None = None) -> Tensor:
    """Distance of every upload from a point, or from zero, over concatenated vectors; each [M, P], [P] -> [M].

    In double precision.
    """
    found = torch.empty(len(parts), len(parts[0]), dtype=torch.float64)
    for number, part in enumerate(parts):
        for some, block in in_double(part):
            away = block if centres is None else block.sub_(centres[number])
            found[number, some] = torch.linalg.vector_norm(away, dim=1)
    whole: Tensor = torch.linalg.vector_norm(found, dim=0)
    return whole


def squared_distances(parts: Sequence[Tensor]) -> NDArray[np.float64]:
    """Squared distance between all pairs of uploads, over concatenated vectors; each [M, P] -> [M, M].

    `|a|^2 + |b|^2 - 2 ab` from the Gram matrix, in double precision: `M^2 / 2` multiply-adds for each parameter. A pair
    with a distance that is not a number counts as infinitely far apart.
    """
    count = len(parts[0])
    gram = torch.zeros(count, count, dtype=torch.float64)
    for low in range(0, count, BLOCK):
        rows = slice(low, low + BLOCK)
        for start in range(low, count, BLOCK):
            others = slice(start, start + BLOCK)
            block = torch.stack([part[rows].double() @ part[others].double().T for part in parts]).sum(0)
            gram[rows, others] = block
            if start > low:
                gram[others, rows] = block.T
    product = gram.numpy()
    own = product.diagonal()
    with np.errstate(invalid="ignore"):
        distance = np.maximum(own[:, None] + own - 2 * product, 0)
    distance[np.isnan(distance)] = np.inf
    np.fill_diagonal(distance, 0)
    return np.asarray(distance)


def refuse_many(what: str, uploads: int, most: int = MOST) -> None:
    """Refuse a rule over all pairs of more uploads than `most`, with the arithmetic."""
    if uploads > most:
        raise Refused(
            f"{what} compares all pairs of {uploads:,} uploads: {uploads**2:,} distances "
            f"({8 * uploads**2 / 2**30:,.2f} GiB) and {uploads**2 // 2:,} multiply-adds for each parameter in every "
            f"update; allowed up to {most:,} uploads. Use fewer sites per update (system.sites), or a rule without "
            "pairs, such as aggregator=median, aggregator=trimmedmean or attack=alie."
        )
