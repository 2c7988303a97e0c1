"""State of the sites between rounds: one row per site, accessible to all workers on this machine.

Every site has two rows. Training reads the current one and writes the other; they are exchanged when the round is over.
An order can therefore be repeated after a crash and finds the same state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Ints
from sim.engine.messages import Arrays
from sim.files import mapped

BLOCK = 2**22  # bytes that are copied at a time where all is read


@dataclass(frozen=True)
class SiteState:
    """State of all sites by name."""

    arrays: Arrays  # name -> [2, S, n]
    current: NDArray[np.int8] = field(repr=False)  # [S] which of the two rows holds

    @classmethod
    def zeros(
        cls, keeps: Mapping[str, int], sites: int, dtype: np.dtype[np.floating], folder: Path | None = None
    ) -> "SiteState":
        """Zeros of so many numbers per site and name, or what is there, in a file per name if others must reach it."""
        shapes = {name: (2, sites, size) for name, size in keeps.items()}
        if folder is None:
            arrays: Arrays = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
        else:
            arrays = {name: mapped(folder / name, shape, dtype) for name, shape in shapes.items()}
        return cls(arrays, np.zeros(sites, np.int8))

    def read(self, sites: Ints, current: NDArray[np.int8] | None = None, names: Sequence[str] | None = None) -> Arrays:
        """Copies of the current rows of some sites; `current` [C] replaces this object's own if given; -> [C, n]."""
        rows = self.current[sites] if current is None else current
        return {name: self.arrays[name][rows, sites] for name in (self.arrays if names is None else names)}

    def write(self, sites: Ints, current: NDArray[np.int8], state: Arrays) -> None:
        """Write new rows beside the current ones; each [C, n]."""
        for name, rows in state.items():
            self.arrays[name][1 - current, sites] = rows

    def turn(self, sites: Ints) -> None:
        """Make the written rows of these sites current."""
        self.current[sites] ^= 1

    def replace(self, sites: Ints, state: Arrays) -> None:
        """New current rows for some names, each [C, n]; all else that these sites keep stays."""
        self.write(sites, self.current[sites], self.read(sites) | state)
        self.turn(sites)

    def blocks(self, name: str) -> Iterator[NDArray[np.floating]]:
        """The current rows of all sites, in blocks of some megabytes; [C, n] each, in the order of the sites."""
        array = self.arrays[name]
        many = max(BLOCK // max(array[0, :1].nbytes, 1), 1)
        for first in range(0, len(self.current), many):
            part = np.arange(first, min(first + many, len(self.current)))
            yield array[self.current[part], part]

    def restore(self, name: str, rows: NDArray[np.floating]) -> None:
        """Make [S, n] the current rows of all sites before training starts; the other rows have no meaning then."""
        self.arrays[name][self.current, np.arange(len(self.current))] = rows

    def fill(self, state: Arrays) -> None:
        """Current rows of all sites from one row for all, [n], or one for each, [S, n]."""
        every = np.arange(len(self.current))
        for name, rows in state.items():
            self.arrays[name][self.current, every] = rows
