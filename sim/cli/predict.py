"""`fedtrial predict`: a run's model on the rows of a file."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as arrow_parquet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.checks import Refused
from sim.cohort.new_rows import MARKS, NewRows
from sim.cohort.tabular.files import existing
from sim.cohort.tabular.form import SEPARATORS, Form, head
from sim.cohort.tabular.read import PARQUET, read
from sim.cohort.tabular.unreadable import read_errors, unreadable
from sim.files import make_folder, writable_out
from sim.records.model import read_about
from sim.records.store import demand
from sim.run.predict import predict, served
from sim.study.results import INDEX

SHOWN = 20  # predictions that are printed


@dataclass(frozen=True)
class Written:
    """The format of a file; settings of cohort=tabular, under their names."""

    separator: str = ","
    columns: Sequence[str] = ()
    comment: str = ""
    skip: int = 0
    decimal: str = "."
    missing_marks: Sequence[str] = ()
    dates: Sequence[str] = ()


def predict_and_report(
    console: Console,
    home: Path,
    file: Path,
    site: str,
    out: Path | None,
    which: str,
    given: Mapping[str, object],
    missing: Sequence[str],
    overwrite: bool,
) -> None:
    """Predict, print the first rows and optionally write all; `given` are settings of `Written`, None = as in training.

    A file is read in the format of the table that the model was trained on.
    """
    refuse_other(home)
    if out is not None:
        writable_out(out, overwrite, (".parquet", ".csv"))
    made = predict(home, new_rows(file, written(home, given, missing)), site, which)
    whose = served(read_about(home), site)
    table = Table(*made.columns, title=f"{which} model of run {home.name}{whose}: {len(made)} rows")
    for row in made.head(SHOWN).itertuples(index=False):
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else Text(str(cell)) for cell in row))
    console.print(table)
    if out is not None:
        keep(made, out)
        console.print(f"Predictions: {out}", markup=False, soft_wrap=True)
    elif len(made) > SHOWN:
        console.print(f"These are the first {SHOWN} rows; --out FILE writes all of them.")


def refuse_other(home: Path) -> None:
    """Refuse the answer of an analysis and the folder of a study, which are no runs."""
    if home.is_file():
        raise Refused(
            f"{home}: this is a file, and a model is in the folder of a run. What `fedtrial analyse` answers (survival "
            "curves, log-rank tests, effects by site, trends) describes patients together and scores no single one. "
            "Take a run that does, such as `fedtrial run task=cox algorithm=cox_webdisco`, and name its folder."
        )
    if (home / INDEX).is_file():
        raise Refused(
            f"{home}: this is the folder of a study. Name one of its runs: `fedtrial runs {home}` lists them."
        )


def written(home: Path, given: Mapping[str, object], missing: Sequence[str]) -> Written:
    """The format of a run's table, with the settings that the user gave for the new file, and further marks."""
    demand(home)
    then = json.loads((home / "run.json").read_text())["settings"]["cohort"]
    names = [one.name for one in fields(Written)]
    found = Written(**{name: then[name] for name in names if name in then})
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen.get("separator") == "\\t":
        chosen["separator"] = "\t"
    if "separator" in chosen and chosen["separator"] not in SEPARATORS:
        raise Refused(f"--separator {chosen['separator']!r}: allowed , ; | or \\t for a tab.")
    made = replace(found, **chosen)  # type: ignore[arg-type]
    if made.decimal not in (".", ",") or made.decimal == made.separator:
        raise Refused(f"--decimal {made.decimal!r}: allowed . or , and not the separator ({made.separator!r}).")
    return replace(made, missing_marks=[*MARKS, *made.missing_marks, *missing])


def new_rows(path: Path, form: Written) -> NewRows:
    """Rows of a file: cells of a CSV as text, columns of a Parquet file with the type they have there."""
    existing(path, "FILE", "")
    if path.suffix not in PARQUET:
        plain = Form(form.separator, (), form.comment, form.skip)
        made = read(path, replace(plain, columns=header_names(path, plain, form.columns)), form.decimal)
        return NewRows(made.cells, made.place, form.missing_marks, form.decimal, form.dates)
    try:
        frame = arrow_parquet.read_table(path).to_pandas(ignore_metadata=True)
    except read_errors() as error:
        raise Refused(unreadable(path, error)) from error
    return NewRows(frame, lambda row: f"{path}, row {row}", form.missing_marks, form.decimal, form.dates)


def header_names(path: Path, form: Form, columns: Sequence[str]) -> tuple[str, ...]:
    """The column names of the run's table without a header; none if the new file has a header."""
    if not columns:
        return ()
    try:
        first = head(path, form).first
    except read_errors():  # `read` says what is wrong
        return ()
    return () if {cell.strip() for cell in first} & set(columns) else tuple(columns)


def keep(made: pd.DataFrame, out: Path) -> None:
    """Write the predictions, completely or not at all."""
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
