"""What travels between the server and those who train: orders for chunks of sites go out, sums come back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Broadcast:
    """What every site downloads in a round."""

    round: int
    lr: float
    x: NDArray[np.floating]  # [P]
    server: Arrays  # name -> [P]

    @property
    def bytes_site(self) -> int:
        """Bytes that one site downloads."""
        return self.x.nbytes + sum(part.nbytes for part in self.server.values())


@dataclass(frozen=True)
class Order:
    """One chunk's part of a round."""

    sites: NDArray[np.int64]  # [C] numbers of the sites, most steps first
    steps: NDArray[np.int64]  # [C]
    weights: NDArray[np.float64]  # [C]
    work: float  # to balance workers by


@dataclass(frozen=True)
class Upload:
    """What a chunk sends back: sums over its sites. Models and state stay where the sites are."""

    total: dict[str, NDArray[np.float64]]  # name -> [P] or []: sum of weight * message
    bytes_site: int  # bytes of one site's message


def cut(
    chosen: NDArray[np.int64],
    steps: NDArray[np.int64],
    weights: NDArray[np.float64],
    work: NDArray[np.float64],
    most: int,
) -> list[Order]:
    """Chunks of the chosen sites [M], most steps first; steps, weights and work are of all sites, [S].

    A chunk ends after `most` sites or a sixteenth of the work, but not below LEAST: enough chunks to share out, few
    enough not to be felt. Nothing here knows of workers, for the cut decides in which order sums are taken.
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
