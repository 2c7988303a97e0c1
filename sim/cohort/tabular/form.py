"""Format of a CSV: its separator, the lines above its header, and its records with their line numbers."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

from sim.checks import Refused, brief
from sim.cohort.tabular.unreadable import not_text, open_binary

SEPARATORS = (";", "\t", "|", ",")
ROW_NAMES = "row_names"  # name of a first column whose header cell is empty, as pandas and R write it


@dataclass(frozen=True)
class Form:
    """How a CSV is written.

    columns  names where there is no header line
    comment  mark that the lines above the header begin with; "" = none do
    skip     further lines above the header, such as a title
    """

    separator: str = ","
    columns: tuple[str, ...] = ()
    comment: str = ""
    skip: int = 0


@dataclass(frozen=True)
class Head:
    """The first records of a CSV.

    first, second  cells of the header (or of the first row, where `Form.columns` names them) and of the next record
    above          lines above the header
    lines          lines above the first row
    """

    first: list[str]
    second: list[str] = field(repr=False)
    above: int
    lines: int


def lines_from_header(text: TextIOWrapper, form: Form) -> tuple[Iterator[str], int]:
    """The lines of a file from its header on, and the number of lines above it."""
    above = sum(1 for _ in islice(text, form.skip))
    for line in text:
        if not (form.comment and line.startswith(form.comment)):
            return chained(line, text), above
        above += 1
    return iter(()), above


def chained(line: str, rest: TextIOWrapper) -> Iterator[str]:
    """A line, then the others."""
    yield line
    yield from rest


def records(path: Path, form: Form) -> Iterator[tuple[list[str], int]]:
    """Cells of every record that is not blank, header first, and the line on which it ends; lines count from 1."""
    with open_binary(path) as file:
        lines, above = lines_from_header(TextIOWrapper(file, "utf-8-sig", newline=""), form)
        reader = csv.reader(lines, delimiter=form.separator)
        for cells in reader:
            if cells:
                yield cells, above + reader.line_num


def head(path: Path, form: Form) -> Head:
    """The first records of a CSV; empty lists where there are none."""
    with open_binary(path) as file:
        lines, above = lines_from_header(TextIOWrapper(file, "utf-8-sig", newline=""), form)
        reader = csv.reader(lines, delimiter=form.separator)
        first = next(reader, [])
        taken = above if form.columns else above + reader.line_num
        try:
            second = next(reader, [])
        except (csv.Error, UnicodeDecodeError):  # the reader of the rows reports where
            second = []
        return Head(first, second, above, taken)


def column_names(path: Path, form: Form, top: Head) -> list[str]:
    """Names of the columns, each once; refuses a header that is none, and says what it looks like."""
    first = top.first
    if any("\0" in cell for cell in first):
        raise Refused(not_text(path))
    if not any(cell.strip() for cell in first):
        raise Refused(f"{path}: it is empty, or its first line is. Give a file with at least one patient.")
    if first[0].lstrip().startswith(("{", "[{")):
        raise Refused(f"{path}: it looks like JSON, not a table. Save it as CSV or Parquet.")
    refuse_lines_above(path, form, top)
    other = other_separator(first, form)
    if other:
        raise Refused(
            f"{path}: one column, {first[0][:60]!r}, so the cells are not separated by {form.separator!r} but perhaps "
            f"by {other!r}. Set {setting_of(other)}."
        )
    names = list(form.columns) or [cell.strip() for cell in first]
    if len(names) != len(first):
        raise Refused(
            f"{path}: {len(first)} columns, but cohort.columns names {len(names)}. "
            f"Name every column, or check cohort.separator={form.separator!r}."
        )
    if not form.columns and names[0] == "" and ROW_NAMES not in names:
        names[0] = ROW_NAMES
    refuse_repeated(path, names)
    return names


def refuse_lines_above(path: Path, form: Form, top: Head) -> None:
    """Refuse a first line that is a comment or a title; says which setting passes over it."""
    first, second = top.first, top.second
    if not form.comment and first[0].startswith("#") and second and second[0].startswith("#"):
        below = head(path, replace(form, comment="#")).first
        other = other_separator(below, form)
        more = f" and {setting_of(other)}" if other else ""
        raise Refused(f"{path}: the first lines begin with '#', as comment lines do. Set 'cohort.comment=\"#\"'{more}.")
    told = [cell for cell in first if cell.strip()]
    title = len(told) == 1 and (len(first) > 2 or not other_separator(first, form))
    if title and not form.columns and sum(map(bool, second)) > 1:
        raise Refused(
            f"{path}: the first line holds {brief(told[0])} only, and the next one {len(second)} cells. It may be a "
            f"title above the header. Set cohort.skip={form.skip + 1}."
        )


def other_separator(first: list[str], form: Form) -> str:
    """The separator that the only cell of a line holds; "" if there are several cells, or none holds one."""
    others = [other for other in SEPARATORS if other != form.separator and len(first) == 1 and other in first[0]]
    return others[0] if others else ""


def setting_of(separator: str) -> str:
    """The setting of a separator, as it is typed in a shell."""
    written = "\\t" if separator == "\t" else separator
    return f"'cohort.separator=\"{written}\"'"


def refuse_repeated(path: Path, names: list[str]) -> None:
    """Refuse duplicate or empty names in a header."""
    count = Counter(names)
    twice = sorted(name for name, times in count.items() if times > 1)
    if twice or "" in count:
        raise Refused(
            f"{path}: columns {', '.join(map(repr, twice)) or 'without a name'} appear in the header"
            f"{' twice' if twice else ''}. Name every column once; for a file without a header set cohort.columns."
        )
