"""Places in a CSV: the line of a row is looked up only when a refusal shows it."""

import csv
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from sim.cohort.tabular.unreadable import open_binary, read_errors


@dataclass(frozen=True)
class Place:
    """A row of a file, or a cell of it; `row` counts rows, the header being 1."""

    path: Path
    row: int
    column: str = ""

    def at(self, column: str) -> "Place":
        """A cell of the row."""
        return Place(self.path, self.row, column)

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        return f"{self.path}, line {line_of(self.path, self.row)}{column}"


def line_of(path: Path, row: int) -> int:
    """Line on which a row begins: cells may hold line breaks, and empty lines are no rows.

    Reads the file up to the row; `row` itself where that fails.
    """
    try:
        with open_binary(path) as raw, TextIOWrapper(raw, "utf-8", errors="replace", newline="") as file:
            reader, begun, count = csv.reader(file), 1, 0
            for cells in reader:
                count += bool(cells)
                if cells and count == row:
                    return begun
                begun = reader.line_num + 1
    except read_errors():
        return row
    return row
