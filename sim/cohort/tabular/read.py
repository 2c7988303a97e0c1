"""One file as text: every cell as written, CSV or Parquet; refuses a file that cannot be read, with line or byte."""

import csv
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from sim.checks import Refused, brief
from sim.cohort.tabular.unreadable import NUL_REMEDY, READ_ERRORS, not_text, open_binary, unreadable


@dataclass(frozen=True)
class TextFile:
    """The cells of a file.

    cells  text [R, columns]
    """

    path: Path
    cells: pd.DataFrame
    separator: str = ","
    named: bool = True  # whether its first line is a header

    @property
    def rows(self) -> int:
        """Number of rows, R."""
        return len(self.cells)

    def place(self, row: int) -> str:
        """The file and, in a CSV, the line where row `row` (from 0) ends; read again, as only one refusal needs it."""
        if self.path.suffix in PARQUET:
            return str(self.path)
        with open_binary(self.path) as file:
            lines = csv.reader(TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=self.separator)
            try:
                next(islice((line for line in lines if line), row + self.named, None))
            except csv.Error:  # a cell is longer than the csv module takes
                return str(self.path)
            return f"{self.path}, line {lines.line_num}"


PARQUET = (".parquet", ".pq")
SEPARATORS = (";", "\t", "|", ",")


def read(path: Path, columns: list[str], separator: str) -> TextFile:
    """Cells of one file as text: Parquet by its suffix, anything else as CSV, .gz unpacked.

    `columns` are the names of the columns of a CSV without a header line; empty = the first line is the header.
    """
    try:
        text = read_parquet(path) if path.suffix in PARQUET else read_csv(path, columns, separator)
    except READ_ERRORS as error:
        raise Refused(unreadable(path, error)) from error
    if text.empty:
        raise Refused(f"{path}: no rows. Give a file with at least one patient.")
    made = TextFile(path, text, separator, not columns)
    for column in text.columns:
        wrong = text[column].str.contains("\0", regex=False).to_numpy(dtype=bool)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise Refused(
                f"{made.place(at)}, column {column!r}: {brief(text[column].iloc[at])} holds a byte 0. {NUL_REMEDY}"
            )
    return made


def read_csv(path: Path, columns: list[str], separator: str) -> pd.DataFrame:
    """Cells of a CSV; refuses a bad header, raises one of READ_ERRORS for a line with too many or too few cells."""
    with open_binary(path) as file:
        first = next(csv.reader(TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=separator), [])
    if any("\0" in cell for cell in first):
        raise Refused(not_text(path))
    if not any(cell.strip() for cell in first):
        raise Refused(f"{path}: empty, or its first line is. Give a file with at least one patient.")
    others = [other for other in SEPARATORS if other != separator and other in first[0]]
    if len(first) == 1 and others:
        raise Refused(
            f"{path}: one column, {first[0][:60]!r}, so the cells are not separated by {separator!r} but perhaps by "
            f"{others[0]!r}. Set cohort.separator."
        )
    names = columns or [cell.strip() for cell in first]
    if len(names) != len(first):
        raise Refused(
            f"{path}: {len(first)} columns, but cohort.columns names {len(names)}. "
            f"Name every column, or check cohort.separator={separator!r}."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        raise Refused(
            f"{path}: columns {', '.join(map(repr, twice)) or 'without a name'} appear in the header"
            f"{' twice' if twice else ''}. Name every column once; for a file without a header set cohort.columns."
        )
    table = arrow_csv.read_csv(
        path,
        # One thread, so that an error message has the row.
        read_options=arrow_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=0 if columns else 1),
        parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types={name: pa.string() for name in names}),
    )
    return stripped(table.to_pandas())


def read_parquet(path: Path) -> pd.DataFrame:
    """Cells of a Parquet file as text; true and false become 1 and 0, as in a CSV."""
    table = arrow_parquet.read_table(path)
    flags = [pa.field(field.name, pa.int8()) if pa.types.is_boolean(field.type) else field for field in table.schema]
    frame = table.cast(pa.schema(flags)).to_pandas(ignore_metadata=True)
    return stripped(frame.astype(object).where(frame.notna(), "").astype(str))


def stripped(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells without surrounding white space."""
    return pd.DataFrame({name: frame[name].str.strip() for name in frame.columns})
