"""Held-out rows with the predictions of the last model, as a file that is written in pieces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as arrow_parquet
from numpy.typing import NDArray

FILE = "predictions.parquet"
PIECE_ROWS = 65_536  # rows of a row group; what is held twice while the file is written


@dataclass(frozen=True)
class Predictions:
    """N rows, site after site, validation before test.

    words    column -> number of the word of each row [N], -1 = not recorded, and the words
    numbers  column -> outcome or score [N]
    """

    words: Mapping[str, tuple[NDArray[np.integer], tuple[str, ...]]] = field(repr=False)
    numbers: Mapping[str, NDArray[np.generic]] = field(repr=False)

    def piece(self, first: int) -> pa.Table:
        """Rows from `first` on, as many as go into a row group."""
        here = slice(first, first + PIECE_ROWS)
        columns = {}
        for name, (codes, words) in self.words.items():
            number = codes[here].astype(np.int32)
            columns[name] = pa.DictionaryArray.from_arrays(
                pa.array(number, mask=number < 0), pa.array(words, pa.string())
            )
        return pa.table(columns | {name: pa.array(values[here]) for name, values in self.numbers.items()})


def write(predictions: Predictions, folder: Path) -> list[str]:
    """Name of the file that was written into the folder, in a list."""
    rows = len(next(iter(predictions.numbers.values())))
    start = predictions.piece(0)
    with arrow_parquet.ParquetWriter(folder / FILE, start.schema, compression="zstd") as file:
        file.write_table(start)
        for first in range(PIECE_ROWS, rows, PIECE_ROWS):
            file.write_table(predictions.piece(first))
    return [FILE]
