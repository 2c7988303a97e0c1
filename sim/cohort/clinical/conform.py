"""Conversion of a table to the clinical schema: columns typed, values checked, refusals with row and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, brief, did_you_mean
from sim.cohort.clinical.mortality import YEARS, could_be_followed, dead_by
from sim.cohort.clinical.schema import KEY, LIFETIMES, TREATMENTS, Column, columns
from sim.cohort.tabular.unreadable import unreadable
from sim.lazy import arrow_parquet, pa, pd

ARROW = {"text": "string", "choice": "string", "number": "float64", "whole": "int8", "flag": "bool", "date": "date32"}
NUMBERS = (int, float, Decimal, np.number)
ZONE = r"([T ].*?)\s*(?:Z|[+-]\d{2}:?(?:\d{2})?)$"  # of a moment as text, after its time of day
PANDAS = {"text": "str", "number": "float64", "whole": "Int8", "flag": "boolean"}


def conform(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with the columns, order and types of the schema; raises Refused with the row (from 0) and the column.

    Optional columns that are absent are added, empty. Kinds become dtypes: text str, choice Categorical, number
    float64, whole Int8, flag boolean, date datetime64. `where` names the table in a refusal: a file or a source.
    """
    for name in frame.columns:
        if name not in columns():
            raise Refused(
                f"{where}: column {name!r} is not a column of the clinical table.{did_you_mean(str(name), columns())} "
                "Its columns are listed in datasets/clinical/schema.yaml; for other tables use cohort=tabular."
            )
    if frame.columns.duplicated().any():
        raise Refused(f"{where}: column {frame.columns[frame.columns.duplicated()][0]!r} occurs twice. Drop one.")
    lacking = [name for name, column in columns().items() if column.required and name not in frame.columns]
    if lacking:
        raise Refused(f"{where}: no column {', '.join(map(repr, lacking))}, which every row needs. Fill it in.")
    if frame.empty:
        raise Refused(f"{where}: no rows. Give a table with at least one patient.")
    frame = frame.reset_index(drop=True)
    made = pd.DataFrame({name: typed_column(frame, column, where) for name, column in columns().items()})
    check_rows(made, where)
    return made


def typed_column(frame: pd.DataFrame, column: Column, where: str) -> pd.Series:
    """One column in its dtype, every value checked."""
    if column.name not in frame.columns:
        frame = frame.assign(**{column.name: None})
    raw = frame[column.name]
    given = raw.notna().to_numpy()
    if column.required:
        refuse_first(frame, column.name, ~given, where, column.bounds, "Every row needs it.")
    good = np.ones(len(raw), dtype=bool)
    good[given] = VALID[column.kind](raw[given], column)
    refuse_first(
        frame,
        column.name,
        ~good,
        where,
        column.bounds,
        f"Correct it, or {'drop the row' if column.required else 'leave it out as missing'}.",
    )
    plain = raw.astype(object).where(given, None)
    if column.kind == "choice":
        return pd.Series(pd.Categorical(plain, categories=list(column.allowed)))
    if column.kind == "date":
        day: pd.Series = days_as_written(raw).dt.floor("D").astype("datetime64[s]")
        return day
    return pd.Series(plain, dtype=PANDAS[column.kind])


def days_as_written(raw: pd.Series) -> pd.Series:
    """Times in the time zone they were written in, NaT if missing: midnight in Berlin belongs to that day.

    A time zone is left out, not converted, as that could move a day into another year. A month is no day.
    """
    text: pd.Series = raw.astype(object).where(raw.notna(), "").astype(str).str.replace(ZONE, r"\1", regex=True)
    days = text.where(text.str.len() >= len("20160101"))
    return pd.Series(pd.to_datetime(days, format="ISO8601", errors="coerce"))


def valid_numbers(raw: pd.Series, column: Column) -> NDArray[np.bool_]:
    """Which values are finite numbers in the range, bool [R]; text and booleans are not."""
    if pd.api.types.is_bool_dtype(raw) or not pd.api.types.is_numeric_dtype(raw):
        plain = [isinstance(value, NUMBERS) and not isinstance(value, bool) for value in raw]
        raw = raw.where(np.array(plain, dtype=bool), np.nan)
    value = raw.to_numpy(dtype=np.float64, na_value=np.nan)
    low, high = column.range or (-np.inf, np.inf)
    good = np.isfinite(value) & (value >= low) & (value <= high)
    if column.kind == "whole":
        good &= value == np.round(value)
    return np.asarray(good & (value != low) if column.above else good)


def valid_texts(raw: pd.Series, column: Column) -> NDArray[np.bool_]:
    """Which values are text, bool [R]; one of the allowed words where the schema lists them."""
    words = [value for value in raw.unique() if isinstance(value, str) and value and "\0" not in value]
    return raw.isin([word for word in words if not column.allowed or word in column.allowed]).to_numpy(dtype=bool)


def valid_flags(raw: pd.Series, column: Column) -> NDArray[np.bool_]:
    """Which values are True or False, bool [R]; 0 and 1 are not."""
    return np.array([isinstance(value, bool | np.bool_) for value in raw], dtype=bool)


def valid_days(raw: pd.Series, column: Column) -> NDArray[np.bool_]:
    """Which values are days, bool [R]: dates, or text such as 2019-05-31."""
    if pd.api.types.is_numeric_dtype(raw):
        return np.zeros(len(raw), dtype=bool)
    return np.asarray(days_as_written(raw).dt.year.between(*LIFETIMES), dtype=bool)


VALID: Mapping[str, Callable[..., NDArray[np.bool_]]] = {
    "text": valid_texts,
    "choice": valid_texts,
    "number": valid_numbers,
    "whole": valid_numbers,
    "flag": valid_flags,
    "date": valid_days,
}


def refuse_first(
    frame: pd.DataFrame, column: str, wrong: NDArray[np.bool_], where: str, allowed: str, remedy: str
) -> None:
    """Refuse the first row marked in `wrong`, bool [R]."""
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    value = frame[column].iloc[row]
    shown = "empty" if pd.isna(value) else brief(value) if isinstance(value, str) else str(value)
    more = f" ({int(wrong.sum())} such rows)" if wrong.sum() > 1 else ""
    raise Refused(
        f"{where}, column {column!r}, row {row} (patient {frame['patient_id'].iloc[row]}): {shown}{more}; "
        f"{allowed}. {remedy}"
    )


def check_rows(table: pd.DataFrame, where: str) -> None:
    """Checks across columns: one row per patient and cancer, a cause only of a death, a day for every treatment."""
    twice = table.duplicated(list(KEY)).to_numpy()
    refuse_first(
        table, "patient_id", twice, where, "allowed one row per patient and cancer_type", "Keep the first diagnosis."
    )
    cause = table["death_cause_cancer"].notna().to_numpy() & ~table["event"].to_numpy(dtype=bool)
    refuse_first(
        table, "death_cause_cancer", cause, where, "allowed empty where event is false", "The living have no cause."
    )
    for name in TREATMENTS:
        given = table[f"tx_{name}"].fillna(False).to_numpy(dtype=bool)
        dated = table[f"tx_{name}_days"].notna().to_numpy()
        allowed = f"allowed a number of days if and only if tx_{name} is true"
        refuse_first(table, f"tx_{name}_days", given != dated, where, allowed, "Say when it was first given.")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table that conforms to the schema as Parquet."""
    fields = pa.schema([pa.field(name, pa.type_for_alias(ARROW[column.kind])) for name, column in columns().items()])
    plain = table.astype({name: object for name, column in columns().items() if column.kind == "choice"})
    arrow_parquet.write_table(pa.Table.from_pandas(plain, schema=fields, preserve_index=False), path)


def read(path: Path) -> pd.DataFrame:
    """Read and check a Parquet file of the clinical table; raises Refused with row and column."""
    try:
        with arrow_parquet.ParquetFile(path) as file:  # not read_table, which fails where a column stands twice
            frame = file.read().to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{unreadable(path, error)} `fedtrial cohort import` writes such a table.") from error
    return conform(frame, str(path))


def labels(table: pd.DataFrame) -> pd.DataFrame:
    """Labels derived from a table, boolean [R]: `mortality_5y` (NA where not known), `stage_late` (stages III, IV)."""
    could_be_seen = could_be_followed(table["dx_date"], table["time_years"], YEARS)
    died = dead_by(table["time_years"], table["event"], YEARS, could_be_seen)
    return pd.DataFrame({"mortality_5y": died, "stage_late": table["stage"] >= 3})
