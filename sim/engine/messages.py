"""Messages between the server and the workers: orders for chunks of sites, and the sums that are returned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints

Arrays = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Broadcast:
    """What every site downloads in a round."""

    round: int
    lr: float
    x: NDArray[np.floating]  # [P]
    server: Arrays  # name -> [P] or []
    prelude: bool = False  # whether sites answer with what their algorithm sends before local training
    adapt: bool = False  # the steps of `Personal.adaptation` in place of a round: nothing is sent back

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.x.nbytes + sum(part.nbytes for part in self.server.values())


@dataclass(frozen=True)
class Order:
    """One chunk's part of a round."""

    sites: Ints  # [C] numbers of the sites, most steps first
    steps: Ints  # [C]
    weights: Floats  # [C]
    work: float  # to balance workers by


@dataclass(frozen=True)
class Upload:
    """What a chunk returns: sums over its sites, and their scalars. Models and state stay with the sites."""

    total: dict[str, Floats]  # name -> [P] or []: sum of weight * message; {} where whole uploads wait at the sites
    scalars: Arrays  # name -> [C], in the order of the sites


@dataclass(frozen=True)
class Candidates:
    """Models by which sites are evaluated: one for all, one of several for each, each site's own, or a mixture."""

    x: NDArray[np.floating]  # [J, P]
    choice: Ints | None = None  # [S] which of the models; None = the first
    own: bool = False  # with what sites keep of their own in its place
    mixture: Floats | None = None  # [S, J], or [1, J] for all: weights of the models' predictions; None = one predicts


def cut(chosen: Ints, steps: Ints, weights: Floats, work: Floats, most: int) -> list[Order]:
    """Chunks of the chosen sites [M], most steps first; steps, weights and work are of all sites, [S].

    A chunk ends after `most` sites or a sixteenth of the work, but not below LEAST: enough chunks to distribute, and
    few enough to cost little time. The cut does not depend on the workers, because it determines the order in which
    sums are taken.
    """
    ordered = chosen[np.argsort(-steps[chosen], kind="stable")]
    load = work[ordered]
    share = np.floor((np.cumsum(load) - load) / max(load.sum() / CHUNKS, LEAST)).astype(np.int64)
    first = np.searchsorted(share, share)  # place where a site's share of the work begins
    begins = (np.arange(len(ordered)) - first) % most == 0
    return [
        Order(part, steps[part], weights[part], float(work[part].sum()))
        for part in np.split(ordered, np.flatnonzero(begins)[1:])
    ]


CHUNKS, LEAST = 16, 2.0**24  # LEAST multiply-adds: below a millisecond on one core
