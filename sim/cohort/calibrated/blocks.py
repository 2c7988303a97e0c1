"""Columns of many rows, filled block by block and then turned into a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sim.lazy import pd

BLOCK = 8192  # rows drawn at a time, so that intermediate arrays fit the cache

Arrays = Mapping[str, NDArray[np.generic]]


def blocks(sizes: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Blocks of rows: number of the first row, and centre and row within the centre of every row, int [n] each."""
    ends = np.cumsum(sizes)
    for first in range(0, int(ends[-1]), BLOCK):
        place = np.arange(first, min(first + BLOCK, int(ends[-1])))
        centre = np.searchsorted(ends, place, side="right")
        yield first, centre, place - (ends - sizes)[centre]


class ColumnBuffers:
    """Columns of R rows, filled block by block."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.columns: dict[str, NDArray[np.generic]] = {}

    def put(self, first: int, block: Arrays) -> None:
        """Write the columns of a block, [n] each, from row `first` on."""
        for name, part in block.items():
            if name not in self.columns:
                self.columns[name] = np.empty(self.rows, dtype=part.dtype)
            self.columns[name][first : first + len(part)] = part


def to_frame(columns: Arrays, levels: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Columns as a table; those in `levels` hold codes and become categoricals with these levels."""
    made = {
        name: pd.Categorical.from_codes(column.astype(np.int8, copy=False), pd.Index(levels[name]))
        if name in levels
        else column
        for name, column in columns.items()
    }
    return pd.DataFrame(made, copy=False)
