"""One file as text: every cell as written, CSV or Parquet; refuses a file that cannot be read, with line or byte."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from sim.checks import Refused, brief
from sim.cohort.tabular.form import Form, column_names, head, records
from sim.cohort.tabular.parquet import read_parquet
from sim.cohort.tabular.room import refuse_too_large
from sim.cohort.tabular.unreadable import NUL_REMEDY, ragged, read_errors, unreadable
from sim.lazy import arrow_csv, pa, pd
from sim.memory import free_bytes

PARQUET = (".parquet", ".pq")
BLOCK = 2**20  # bytes that are parsed at once, at least
WIDE = 64  # bytes of a cell for which a block has room in every column, as a line must fit into a block


@dataclass(frozen=True)
class TextFile:
    """The cells of a file.

    cells  text [R, columns]
    """

    path: Path
    cells: pd.DataFrame
    form: Form = field(default_factory=Form)

    @property
    def rows(self) -> int:
        """Number of rows, R."""
        return len(self.cells)

    def place(self, row: int) -> str:
        """The file and, in a CSV, the line where row `row` (from 0) ends; read again, as only one refusal needs it."""
        if self.path.suffix in PARQUET:
            return str(self.path)
        try:
            _, line = next(islice(records(self.path, self.form), row + (not self.form.columns), None))
        except (csv.Error, StopIteration):  # a cell is longer than the csv module takes
            return str(self.path)
        return f"{self.path}, line {line}"


def read(path: Path, form: Form, decimal: str = ".") -> TextFile:
    """Cells of one file as text: Parquet by its suffix, anything else as CSV, .gz unpacked."""
    try:
        text = read_parquet(path, decimal) if path.suffix in PARQUET else read_csv(path, form)
    except read_errors() as error:
        raise Refused(refusal(path, form, error)) from error
    if text.empty:
        raise Refused(f"{path}: no rows. Give a file with at least one patient.")
    made = TextFile(path, stripped(text), form)
    for column in made.cells.columns:
        wrong = made.cells[column].str.contains("\0", regex=False).to_numpy(dtype=bool)
        if wrong.any():
            at = int(np.argmax(wrong))
            cell = brief(made.cells[column].iloc[at])
            raise Refused(f"{made.place(at)}, column {column!r}: {cell} holds a byte 0. {NUL_REMEDY}")
    refuse_comments(made)
    return made


def refusal(path: Path, form: Form, error: BaseException) -> str:
    """Text of the refusal of a file; a line with too many or too few cells is sought, as Arrow counts rows."""
    found = ragged(error)
    if found:
        try:
            wrong = ((len(cells), line) for cells, line in records(path, form) if len(cells) != found.expected)
            cells, line = next(wrong, (found.cells, found.row))
        except csv.Error:
            cells, line = found.cells, found.row
        return found.in_words(path, line, cells)
    return unreadable(path, error)


def read_csv(path: Path, form: Form) -> pd.DataFrame:
    """Cells of a CSV; refuses a bad header, raises one of `read_errors` for a line with too many or too few cells."""
    top = head(path, form)
    names = column_names(path, form, top)
    batches, size, rows, free = [], 0, 0, free_bytes()
    with arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(
            use_threads=False,  # so that an error message has the row
            column_names=names,
            skip_rows=top.lines,
            block_size=max(BLOCK, WIDE * len(names)),
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=form.separator, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    ) as reader:
        for batch in reader:
            batches.append(batch)
            size, rows = size + batch.nbytes, rows + batch.num_rows
            refuse_too_large(path, rows, len(names), size, free)
        frame: pd.DataFrame = pa.Table.from_batches(batches, reader.schema).to_pandas()
    return frame


def stripped(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells without surrounding white space."""
    return pd.DataFrame({name: frame[name].str.strip() for name in frame.columns})


def refuse_comments(made: TextFile) -> None:
    """Refuse a comment line between the rows: it would be read as a patient."""
    mark = made.form.comment
    if not mark or made.path.suffix in PARQUET:
        return
    wrong = made.cells.iloc[:, 0].str.startswith(mark).to_numpy(dtype=bool)
    if wrong.any():
        raise Refused(
            f"{made.place(int(np.argmax(wrong)))}: begins with {mark!r}, cohort.comment, but is below the header. "
            "Remove comment lines from the rows, or leave cohort.comment empty."
        )
