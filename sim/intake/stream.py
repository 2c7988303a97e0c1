"""One CSV of any size, batch by batch: cells as text, rows with their lines, refusals where it is damaged."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from sim.checks import Refused

BLOCK = 4 << 20  # bytes read at a time; a line must fit
BROKEN = (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error)

Progress = Callable[[int], None]  # told the bytes read so far, of the file as it lies on the disk


class Batch:
    """Some rows of a file.

    cells  text of the chosen columns, "" = empty, [n] each
    first  line of the first row; the header is line 1
    """

    def __init__(self, path: Path, cells: pa.RecordBatch, first: int) -> None:
        self.path, self.cells, self.first = path, cells, first

    def among(self, column: str, values: pa.Array) -> NDArray[np.bool_]:
        """Which rows hold one of the values, bool [n]."""
        return np.asarray(pc.is_in(self.cells[column], value_set=values).to_numpy(zero_copy_only=False), dtype=bool)

    def frame(self, kept: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """The rows marked in `kept` [n], or all, with their lines as index."""
        lines = np.arange(self.first, self.first + self.cells.num_rows)
        cells = self.cells if kept is None else self.cells.filter(pa.array(kept))
        made: pd.DataFrame = cells.to_pandas()
        return made.set_index(lines if kept is None else lines[kept])


def days(path: Path, column: str, text: pd.Series) -> pd.Series:
    """Days from text such as 2019-05-31T08:00:00Z, by its first ten letters; NaT where empty; index: lines."""
    day = pd.to_datetime(text.str.slice(0, 10), format="%Y-%m-%d", errors="coerce").astype("datetime64[s]")
    wrong = (day.isna() & (text != "")).to_numpy()
    if wrong.any():
        line = text.index[int(np.argmax(wrong))]
        raise Refused(
            f"{path}, line {line}, column {column}: {text[line]!r} is no day such as 2019-05-31. Correct it, or export "
            "again; a spreadsheet that saved the file may have rewritten the dates."
        )
    return day


def header(path: Path) -> list[str]:
    """Names in the first line, as they stand there."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            names = next(csv.reader([file.readline().decode("utf-8-sig")]), [])
    except UnicodeDecodeError:
        raise Refused(not_utf8(path)) from None
    except BROKEN as error:
        raise Refused(broken(path, error)) from None
    if not any(name.strip() for name in names):
        raise Refused(f"{path}: empty, or its first line is. Export it again, or take the file away if it is optional.")
    return names


def batches(path: Path, columns: Mapping[str, str], progress: Progress, block: int = BLOCK) -> Iterator[Batch]:
    """The rows of a file in order; `columns` maps our names to those of its header. Memory: a few blocks."""
    theirs = list(columns.values())
    line = 2
    try:
        with pa.OSFile(str(path)) as raw:
            source = pa.CompressedInputStream(raw, "gzip") if path.suffix == ".gz" else raw
            reader = arrow_csv.open_csv(
                source,
                # One thread, so that an error names the row.
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=block),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(theirs, pa.string()), include_columns=theirs, strings_can_be_null=False
                ),
            )
            for cells in reader:
                trimmed = [pc.utf8_trim_whitespace(cells[name]) for name in theirs]
                yield Batch(path, pa.RecordBatch.from_arrays(trimmed, names=list(columns)), line)
                line += cells.num_rows
                progress(raw.tell())
    except BROKEN as error:
        raise Refused(not_utf8(path) if "UTF8" in str(error) else broken(path, error)) from error


def broken(path: Path, error: BaseException) -> str:
    """Refusal of a file that cannot be read to its end."""
    why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return f"{path}: cannot be read to its end: {why}. Is the copy whole? Compare its size, or export it again."


def not_utf8(path: Path) -> str:
    """Refusal of a file that is not UTF-8, with the first byte that is not."""
    before = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            for line, text in enumerate(file, 1):
                try:
                    text.decode("utf-8")
                except UnicodeDecodeError as error:
                    at = before + error.start
                    return (
                        f"{path}, line {line}: byte {at} is 0x{text[error.start]:02x}, which is not UTF-8. Convert the "
                        "file (iconv -f latin1 -t utf-8), or export again with exporter.encoding = UTF-8."
                    )
                before += len(text)
    except BROKEN as error:
        return broken(path, error)
    return f"{path}: not UTF-8 text. Convert the file (iconv -f latin1 -t utf-8), then try again."
