"""Distances between all pairs of uploads, for rules that compare every site with every other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.lazy import Tensor, torch
from sim.methods.contract import Message
from sim.methods.quantile import median

BLOCK = 128  # uploads of a block of the Gram matrix
SPAN = 4096  # parameters whose products are added up in the uploads' precision
MOST = 4096  # uploads of which all pairs are compared
PACE = 1.5e10  # multiply-adds of Krum that one core with AVX2 does in a second, as benchmarks/aggregators.py measures


def vectors(sent: Message) -> list[Tensor]:
    """The vectors of a message, each [M, P]; scalars are left out."""
    return [part for part in sent.values() if part.dim() == 2]


def squared_distances(parts: Sequence[Tensor]) -> NDArray[np.float64]:
    """Squared distance between all pairs of uploads, over concatenated vectors; each [M, P] -> [M, M].

    `|a|^2 + |b|^2 - 2 ab` from the Gram matrix, half of which is computed: `M^2 / 2` multiply-adds for each parameter,
    in the uploads' precision, and sums of `SPAN` of them in double. The uploads are taken from the median of every
    coordinate, so that neither what all share nor a few far away cost the others digits. A pair that is no number
    counts as farther apart than all others together.
    """
    count = len(parts[0])
    gram = np.zeros((count, count))
    for part in parts:
        for start in range(0, part.shape[1], SPAN):
            some = part[:, start : start + SPAN]
            away = some - median(some, torch.ones(count))
            for low in range(0, count, BLOCK):
                gram[low : low + BLOCK, low:] += (away[low : low + BLOCK] @ away[low:].T).numpy()
    own = gram.diagonal().copy()
    with np.errstate(invalid="ignore", over="ignore"):
        gram *= -2
        gram += own[:, None]
        gram += own
    np.maximum(gram, 0, out=gram)
    for low in range(0, count, BLOCK):
        rows, later = slice(low, low + BLOCK), slice(low + BLOCK, None)
        gram[later, rows] = gram[rows, later].T
        gram[rows, rows] = np.triu(gram[rows, rows]) + np.triu(gram[rows, rows], 1).T
    np.fill_diagonal(gram, 0)
    known = np.isfinite(gram)
    if not known.all():
        gram[~known] = 2 * count * max(float(gram.max(where=known, initial=0)), 1.0)
    return gram


def refuse_many(what: str, uploads: int, parameters: int = 0) -> None:
    """Refuse a rule over all pairs of more than `MOST` uploads, with the arithmetic; 0 parameters = not known yet."""
    if uploads <= MOST:
        return
    work = f"{uploads**2 // 2:,} multiply-adds for each parameter"
    if parameters:
        products = uploads**2 * parameters // 2
        work += f", {products:,} for all {parameters:,}, about {products / PACE:,.1f} s on one core,"
    raise Refused(
        f"{what} compares all pairs of {uploads:,} uploads: {uploads**2:,} distances "
        f"({8 * uploads**2 / 2**30:,.2f} GiB) and {work} in every update; allowed up to {MOST:,} uploads. Take fewer "
        "sites in an update (system.sites), or a rule without pairs, such as aggregator=median, "
        "aggregator=trimmedmean or attack=alie."
    )
