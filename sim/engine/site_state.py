"""What sites keep between rounds: one row a site, where all who train on this machine can reach it.

Every site has two rows. Training reads the current one and writes the other; they change places when the round is
over. So an order can be carried out again after a crash and finds what it found before.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.engine.messages import Arrays
from sim.files import mapped


@dataclass(frozen=True)
class Shelf:
    """State of all sites by name."""

    arrays: Arrays  # name -> [2, S, P]
    current: NDArray[np.int8] = field(repr=False)  # [S] which of the two rows holds

    @classmethod
    def private(cls, names: tuple[str, ...], sites: int, size: int, dtype: np.dtype[np.floating]) -> "Shelf":
        """Zeros in this process alone."""
        return cls({name: np.zeros((2, sites, size), dtype) for name in names}, np.zeros(sites, np.int8))

    @classmethod
    def shared(
        cls, names: tuple[str, ...], sites: int, size: int, dtype: np.dtype[np.floating], folder: Path
    ) -> "Shelf":
        """Zeros, or what is there, in a file a name that every process of this machine may open."""
        arrays = {name: mapped(folder / name, (2, sites, size), dtype) for name in names}
        return cls(arrays, np.zeros(sites, np.int8))

    def read(self, sites: NDArray[np.int64], current: NDArray[np.int8]) -> Arrays:
        """Copies of the current rows of some sites; name -> [C, P]."""
        return {name: rows[current, sites] for name, rows in self.arrays.items()}

    def write(self, sites: NDArray[np.int64], current: NDArray[np.int8], state: Arrays) -> None:
        """Put new rows beside the current ones."""
        for name, rows in state.items():
            self.arrays[name][1 - current, sites] = rows

    def turn(self, sites: NDArray[np.int64]) -> None:
        """What was written of these sites becomes current."""
        self.current[sites] ^= 1
