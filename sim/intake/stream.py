"""One CSV of any size, batch by batch: cells as text with the numbers of their rows; refuses a damaged file."""

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from sim.checks import Refused, brief
from sim.cohort.clinical.schema import LIFETIMES
from sim.cohort.tabular.unreadable import NUL_REMEDY, not_text, open_binary, read_errors, unreadable
from sim.intake.lines import Place
from sim.intake.rules import SLACK, Odd, Rules
from sim.progress import Watch

BLOCK = 4 << 20  # bytes read at a time; a line must fit in


class Batch:
    """Some rows of a file.

    cells  text of the chosen columns, "" = empty, [n] each
    first  number of the first row, the header being 1: its line, if no cell holds a line break
    """

    def __init__(self, path: Path, cells: pa.RecordBatch, first: int) -> None:
        self.path, self.cells, self.first = path, cells, first

    def isin(self, column: str, values: pa.Array) -> NDArray[np.bool_]:
        """Which rows have one of the values, bool [n]."""
        return np.asarray(pc.is_in(self.cells[column], value_set=values).to_numpy(zero_copy_only=False), dtype=bool)

    def frame(self, kept: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """The rows marked in `kept`, bool [n] (None = all), indexed by their number."""
        numbers = np.arange(self.first, self.first + self.cells.num_rows)
        cells = self.cells if kept is None else self.cells.filter(pa.array(kept))
        made: pd.DataFrame = cells.to_pandas()
        return made.set_index(numbers if kept is None else numbers[kept])


def parse_days(path: Path, column: str, text: pd.Series, rules: Rules) -> pd.Series:
    """Days from the first ten characters of text such as 2019-05-31T08:00:00Z, NaT where empty or left out.

    text  indexed by number of the row
    """
    day = pd.to_datetime(text.str.slice(0, 10), format="%Y-%m-%d", errors="coerce").astype("datetime64[s]")
    wrong = ((day.isna() | ~day.dt.year.between(*LIFETIMES)) & (text != "")).to_numpy()
    late = (day > pd.Timestamp(date.fromordinal(rules.until + SLACK))).to_numpy() & ~wrong
    words = (
        f"no day such as 2019-05-31 (from {LIFETIMES[0]} to {LIFETIMES[1]}). Correct it, or export again; a "
        "spreadsheet that saved it may have rewritten the dates."
    )
    for marked, reason, why in ((wrong, "no day", words), (late, "days after the export's end", rules.too_late)):
        for row in text.index[marked]:
            place = Place(path, int(row), column)
            rules.leave_out(Odd(f"{column} of {path.name}: {reason}", f"{place}: {brief(text[row])} is {why}"))
    return day.mask(wrong | late)


def header(path: Path) -> list[str]:
    """Column names of the first line, as written."""
    try:
        with open_binary(path) as file:
            first = file.readline()
        if b"\0" in first:
            raise Refused(not_text(path))
        names = next(csv.reader([first.decode("utf-8-sig")]), [])
    except read_errors() as error:
        raise Refused(unreadable(path, error)) from None
    if not any(name.strip() for name in names):
        raise Refused(f"{path}: empty, or its first line is. Export it again, or remove the file if it is optional.")
    return names


def batches(path: Path, columns: Mapping[str, str], watch: Watch, block: int = BLOCK) -> Iterator[Batch]:
    """The rows of a file in order; `columns` maps our names to those of the header, `watch` gets the bytes read so far.

    Memory: a few blocks.
    """
    theirs = list(columns.values())
    row = 2
    try:
        with pa.OSFile(str(path)) as raw:
            source = pa.CompressedInputStream(raw, "gzip") if path.suffix == ".gz" else raw
            reader = arrow_csv.open_csv(
                source,
                # One thread, so that an error message has the row.
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=block),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(theirs, pa.string()), include_columns=theirs, strings_can_be_null=False
                ),
            )
            for cells in reader:
                trimmed = [pc.utf8_trim_whitespace(refuse_nul(path, name, cells[name], row)) for name in theirs]
                yield Batch(path, pa.RecordBatch.from_arrays(trimmed, names=list(columns)), row)
                row += cells.num_rows
                watch(raw.tell())
    except read_errors() as error:
        raise Refused(unreadable(path, error)) from error


def refuse_nul(path: Path, column: str, cells: pa.Array, first: int) -> pa.Array:
    """The cells [n] of a column whose first row has the number `first`; refuses a cell with a byte 0."""
    wrong = pc.match_substring(cells, "\0")
    if pc.any(wrong).as_py():
        at = wrong.index(True).as_py()
        raise Refused(f"{Place(path, first + at, column)}: {brief(cells[at].as_py())} holds a byte 0. {NUL_REMEDY}")
    return cells
