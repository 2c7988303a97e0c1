"""Rows of all sites as text, each with its site and its row in the site's file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, brief, one_of
from sim.cohort.tabular.read import TextFile
from sim.lazy import pd

COMMA_NUMBER = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Sheet:
    """Rows of all sites, one site after another.

    cells    text [R, columns]; "" = not recorded
    site     str [R]; "" = not recorded
    row      int [R]: number of the row among its site's rows, from 0, header not counted
    files    files that were read, in order
    read     int [R]: number of the row among the rows of all files, from 0
    decimal  mark before the fraction of a number
    """

    cells: pd.DataFrame
    site: NDArray[np.str_]
    row: NDArray[np.int64]
    files: tuple[TextFile, ...]
    read: NDArray[np.int64]
    decimal: str = "."

    def with_points(self, column: str) -> pd.Series:
        """Cells of a column, numbers with a decimal point; text [R]."""
        return with_points(self.cells[column], self.decimal)

    def filter(self, chosen: NDArray[np.bool_]) -> Sheet:
        """The rows where `chosen`, bool [R], is true; they keep their row numbers."""
        cells = self.cells[chosen].reset_index(drop=True)
        return replace(self, cells=cells, site=self.site[chosen], row=self.row[chosen], read=self.read[chosen])

    def place(self, at: int) -> str:
        """File and, in a CSV, line of row `at` of this sheet."""
        ends = np.cumsum([file.rows for file in self.files])
        number = int(np.searchsorted(ends, self.read[at], side="right"))
        file = self.files[number]
        return file.place(int(self.read[at] - ends[number] + file.rows))

    def missing(self, columns: list[str]) -> NDArray[np.bool_]:
        """Whether any of these columns is missing, bool [R]."""
        return np.asarray((self.cells[columns] == "").any(axis=1), dtype=bool)

    def refuse_first(self, column: str, wrong: NDArray[np.bool_], why: str, remedy: str) -> None:
        """Refuse the first row marked in `wrong`, bool [R], with file, line, site and value."""
        if wrong.any():
            at = int(np.argmax(wrong))
            raise Refused(
                f"{self.place(at)}, column {column!r}, row {self.row[at]} of site {str(self.site[at])!r} "
                "(the first row is 0): "
                f"{brief(self.cells[column].iloc[at])} {why}. {remedy}"
            )


def with_points(text: pd.Series, decimal: str) -> pd.Series:
    """Cells in which numbers have a decimal point; text [R]."""
    if decimal == ".":
        return text
    return text.where(~text.str.fullmatch(COMMA_NUMBER), text.str.replace(",", ".", regex=False))


def concatenate(files: Mapping[str, TextFile], used: Callable[[str], bool] = bool) -> Sheet:
    """One sheet from one file per site; refuses files of which one lacks a column that is `used`.

    A column that is not used is empty where a file lacks it.
    """
    frames = {name: file.cells for name, file in files.items()}
    (first, model), *others = frames.items()
    for name, frame in others:
        differing = sorted(column for column in set(model.columns) ^ set(frame.columns) if used(column))
        if differing:
            holder = first if differing[0] in model.columns else name
            raise Refused(
                f"Columns differ between sites {first!r} and {name!r}: {differing[0]!r} is in {holder!r} only. "
                "Give every site's file the same columns, or leave it out: cohort.drop, or name cohort.features."
            )
    columns = list(dict.fromkeys(column for frame in frames.values() for column in frame.columns))
    whole = [frame.reindex(columns=columns, fill_value="") for frame in frames.values()]
    cells = pd.concat(whole, ignore_index=True)
    sizes = [len(frame) for frame in frames.values()]
    site, row = np.repeat(np.array(list(frames)), sizes), np.concatenate([np.arange(size) for size in sizes])
    return Sheet(cells, site, row, tuple(files.values()), np.arange(len(cells)))


def split_by_column(file: TextFile, column: str) -> Sheet:
    """One sheet from one file; `column` names the site of each row, "" = one site, `all`."""
    if not column:
        return concatenate({"all": file})
    frame = file.cells
    one_of("cohort.site", column, frame.columns)
    row = np.asarray(frame.groupby(column).cumcount(), dtype=np.int64)
    return Sheet(frame, frame[column].to_numpy(dtype=str), row, (file,), np.arange(len(frame)))


def without_marks(file: TextFile, marks: Collection[str]) -> TextFile:
    """A file whose gaps are "", in every column alike, before any of them is used."""
    return replace(file, cells=file.cells.where(~file.cells.isin(list(marks)), ""))


def join_side_file(sheet: Sheet, extra: TextFile) -> Sheet:
    """A sheet with the further columns of a side file keyed by `site` and `row`; rows it lacks get ""."""
    side, path = extra.cells, extra.path
    for column in ("site", "row"):
        one_of(f"{path}: column", column, side.columns, "A side file is keyed by the columns site and row.")
    clash = sorted((set(side.columns) - {"site", "row"}) & set(sheet.cells.columns))
    if clash:
        raise Refused(f"{path}: column {clash[0]!r} is in the sites' files too. Rename one.")
    keys = pd.MultiIndex.from_arrays([side["site"], pd.to_numeric(side["row"], errors="coerce")])
    own = pd.MultiIndex.from_arrays([sheet.site, sheet.row])
    wrong = ~keys.isin(own) | keys.duplicated()
    if wrong.any():
        at = int(np.argmax(wrong))
        raise Refused(
            f"{extra.place(at)}: site {side['site'].iloc[at]!r}, row {side['row'].iloc[at]!r} occurs twice or is not a "
            f"row of this cohort. Rows are counted from 0 within a site; sites: {', '.join(np.unique(sheet.site))}."
        )
    found = side.drop(columns=["site", "row"]).set_index(keys).reindex(own, fill_value="").reset_index(drop=True)
    return replace(sheet, cells=pd.concat([sheet.cells, found], axis=1))
