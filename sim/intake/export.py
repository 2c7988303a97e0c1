"""A Synthea CSV export: its tables in batches, with days as numbers, and the progress of reading."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from sim.checks import Refused
from sim.intake.lines import Place
from sim.intake.rules import Rules
from sim.intake.stream import BLOCK, Batch, batches, parse_days
from sim.intake.versions import TABLES, find_tables
from sim.progress import Watch

NEVER_EMPTY = ("encounters", "observations")  # tables that no population leaves empty; a small one may have no drugs
MEGABYTE = 20  # bits: progress is reported in units of 2**20 bytes


class Export:
    """The tables of one folder."""

    def __init__(self, folder: Path, block: int = BLOCK) -> None:
        self.folder, self.block = folder, block
        self.files = find_tables(folder)
        self.bytes = {table: file.path.stat().st_size for table, file in self.files.items()}
        self.megabytes = (sum(self.bytes.values()) + self.bytes["conditions"]) >> MEGABYTE  # conditions are read twice
        self.watch: Watch = lambda done: None
        self.rules = Rules()
        self.done = 0
        self.rows: dict[str, int] = {}
        self.latest = 0  # last day of any row of the selected patients

    def read(self, table: str) -> Iterator[Batch]:
        """Batches of a table; none if the export lacks it."""
        if table not in self.files:
            return
        file, self.rows[table] = self.files[table], 0
        for batch in batches(file.path, file.columns, lambda at: self.watch((self.done + at) >> MEGABYTE), self.block):
            self.rows[table] += batch.cells.num_rows
            yield batch
        if not self.rows[table] and table in NEVER_EMPTY:
            raise Refused(f"{file.path}: the file has no rows. Export it again, or remove it.")
        self.done += self.bytes[table]

    def rows_of(self, table: str, patients: pa.Array) -> Iterator[pd.DataFrame]:
        """Rows of these patients in batches, indexed by row; `day` is ordinal, columns that the file lacks are ""."""
        for batch in self.read(table):
            held = batch.frame(batch.isin("patient", patients))
            held["day"] = ordinals(parse_days(batch.path, "START or DATE", held["day"], self.rules))
            self.latest = max(self.latest, int(held["day"].max()) if len(held) else 0)
            absent = [name for name in TABLES[table].welcome if name not in held]
            yield held[held["day"] > 0].assign(**dict.fromkeys(absent, ""))

    def place(self, table: str, row: int) -> Place:
        """File and line of a row."""
        return Place(self.files[table].path, row)


def ordinals(day: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Ordinal days as of `date.toordinal`, 0 where there is none; int [n]."""
    number = day.to_numpy("datetime64[D]").astype(np.int64) + 719_163  # date(1970, 1, 1).toordinal()
    return np.where(day.isna(), 0, number)


def without_decimal(code: pd.Series) -> pd.Series:
    """Codes without the ".0" that a spreadsheet or data frame adds when it reads them as numbers."""
    return code.str.removesuffix(".0")
