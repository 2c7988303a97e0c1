"""`fedtrial predict`: a run's model on the rows of a file."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as arrow_parquet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.checks import Refused
from sim.cohort.new_rows import MARKS, NewRows
from sim.cohort.tabular.files import existing
from sim.cohort.tabular.form import SEPARATORS, Form
from sim.cohort.tabular.read import PARQUET, read
from sim.cohort.tabular.unreadable import read_errors, unreadable
from sim.files import make_folder, writable_out
from sim.run.predict import predict

SHOWN = 20  # predictions that are printed


def predict_and_report(
    console: Console,
    home: Path,
    file: Path,
    site: str,
    out: Path | None,
    which: str,
    separator: str,
    missing: Sequence[str],
    overwrite: bool,
) -> None:
    """Predict, print the first rows and write all of them if asked."""
    if out is not None:
        writable_out(out, overwrite, (".parquet", ".csv"))
    made = predict(home, new_rows(file, separator, missing), site, which)
    table = Table(*made.columns, title=f"{which} model of run {home.name}: {len(made)} rows")
    for row in made.head(SHOWN).itertuples(index=False):
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else Text(str(cell)) for cell in row))
    console.print(table)
    if out is not None:
        keep(made, out)
        console.print(f"Predictions: {out}", markup=False, soft_wrap=True)
    elif len(made) > SHOWN:
        console.print(f"The first {SHOWN} rows; --out FILE keeps all of them.")


def new_rows(path: Path, separator: str, missing: Sequence[str]) -> NewRows:
    """Rows of a file: cells of a CSV as text, columns of a Parquet file with the type they have there."""
    separator = "\t" if separator == "\\t" else separator
    if separator not in SEPARATORS:
        raise Refused(f"--separator {separator!r}: allowed , ; | or \\t for a tab.")
    existing(path, "FILE", "")
    marks = (*MARKS, *missing)
    if path.suffix not in PARQUET:
        made = read(path, Form(separator))
        return NewRows(made.cells, made.place, marks)
    try:
        frame = arrow_parquet.read_table(path).to_pandas(ignore_metadata=True)
    except read_errors() as error:
        raise Refused(unreadable(path, error)) from error
    return NewRows(frame, lambda row: f"{path}, row {row}", marks)


def keep(made: pd.DataFrame, out: Path) -> None:
    """Write the predictions, whole or not at all."""
    draft = make_folder(out.parent) / f".{out.name}.part"
    try:
        if out.suffix == ".csv":
            made.to_csv(draft, index=False)
        else:
            made.to_parquet(draft, index=False, compression="zstd")
        os.replace(draft, out)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Refused(f"--out {out}: could not be written ({error.strerror}); free space or choose another.") from error
