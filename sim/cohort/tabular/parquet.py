"""A Parquet file as text: every cell as its own type writes it, so that no code or number becomes another."""

from __future__ import annotations

from pathlib import Path

from sim.cohort.tabular.form import refuse_repeated
from sim.cohort.tabular.room import refuse_too_large
from sim.lazy import arrow_parquet, pa, pd
from sim.memory import free_bytes

LEAST = 9  # bytes of a cell as text: one letter, and where it ends


def read_parquet(path: Path, decimal: str) -> pd.DataFrame:
    """Cells of a Parquet file as text; true and false become 1 and 0, as in a CSV.

    Numbers with a fraction are written with the mark `decimal`, like those of CSV files of the same cohort.
    """
    # Not read_table: where a column stands twice it fails with words of its own.
    with arrow_parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        refuse_repeated(path, names)
        rows = file.metadata.num_rows
        refuse_too_large(path, rows, len(names), float(LEAST * rows * len(names)), free_bytes())
        table = file.read()
    return pd.DataFrame({name: text_of(table[name], decimal) for name in names})


def text_of(column: pa.ChunkedArray, decimal: str) -> pd.Series:
    """A column as text, "" where it is null.

    Whole numbers never pass through float: above 2**53 two codes could become one. -0.0 is 0.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_of(column.cast(kind.value_type), decimal)
    if pa.types.is_boolean(kind):
        return text_of(column.cast(pa.int8()), decimal)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or is_text(kind) or pa.types.is_null(kind):
        made = column.cast(pa.string()).to_pandas().astype(object)
    else:
        made = column.to_pandas()
        made = (made + 0.0 if pa.types.is_floating(kind) else made).astype(object)
    text: pd.Series = made.where(made.notna(), "").astype(str)
    fraction = pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return text.str.replace(".", decimal, regex=False) if fraction and decimal != "." else text


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
