"""One file as text: every cell as it stands there, whatever the format, and a refusal where it cannot be read."""

import csv
import gzip
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from sim.checks import Refused

BROKEN = (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error)


def read(path: Path, columns: list[str], separator: str) -> pd.DataFrame:
    """Cells of one file as text: Parquet by its suffix, anything else as CSV, .gz unpacked.

    `columns` names the columns of a CSV without a header line; empty = its first line does.
    """
    try:
        text = parquet(path) if path.suffix in (".parquet", ".pq") else delimited(path, columns, separator)
    except UnicodeDecodeError as error:
        raise Refused(encoding(path)) from error
    except BROKEN as error:
        if "UTF8" in str(error):
            raise Refused(encoding(path)) from error
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refused(f"{path}: cannot be read: {why} Check cohort.separator and that the file is whole.") from error
    if text.empty:
        raise Refused(f"{path}: no rows. Give a file with at least one patient.")
    return text


def encoding(path: Path) -> str:
    """Refusal of a file that is not UTF-8."""
    return f"{path}: not UTF-8 text. Save it as UTF-8 (iconv -f latin1 -t utf-8), then try again."


def delimited(path: Path, columns: list[str], separator: str) -> pd.DataFrame:
    """Cells of a CSV; a line with more or fewer cells than the first is an error."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
        first = next(csv.reader(file, delimiter=separator), [])
    if not any(cell.strip() for cell in first):
        raise Refused(f"{path}: empty, or its first line is. Give a file with at least one patient.")
    names = columns or [cell.strip() for cell in first]
    if len(names) != len(first):
        raise Refused(
            f"{path}: {len(first)} columns, but cohort.columns names {len(names)}. "
            f"Name every column, or check cohort.separator={separator!r}."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        raise Refused(
            f"{path}: columns {', '.join(map(repr, twice)) or 'without a name'} stand in the header"
            f"{' twice' if twice else ''}. Name every column once; for a file without a header set cohort.columns."
        )
    table = arrow_csv.read_csv(
        path,
        # One thread, so that an error names the row.
        read_options=arrow_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=0 if columns else 1),
        parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types={name: pa.string() for name in names}),
    )
    return stripped(table.to_pandas())


def parquet(path: Path) -> pd.DataFrame:
    """Cells of a Parquet file as text; true and false become 1 and 0, as a CSV would say."""
    table = arrow_parquet.read_table(path)
    flags = [pa.field(field.name, pa.int8()) if pa.types.is_boolean(field.type) else field for field in table.schema]
    frame = table.cast(pa.schema(flags)).to_pandas(ignore_metadata=True)
    return stripped(frame.astype(object).where(frame.notna(), "").astype(str))


def stripped(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells without surrounding blanks."""
    return pd.DataFrame({name: frame[name].str.strip() for name in frame.columns})
