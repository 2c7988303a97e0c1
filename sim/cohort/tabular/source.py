"""A cohort from the user's own tables, described in config alone: one file per hospital, or one with a site column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.assets import locate
from sim.checks import Refused, within
from sim.cohort.new_rows import MARKS
from sim.cohort.outcomes import Binary, Categorical, Count, Numeric, Outcome, Survival
from sim.cohort.table import Cohort, Source
from sim.cohort.tabular.advice import refuse_text
from sim.cohort.tabular.columns import category, date_days, number
from sim.cohort.tabular.files import existing, matching_files
from sim.cohort.tabular.form import ROW_NAMES, Form
from sim.cohort.tabular.giveaway import giveaways, in_words, refuse_ids
from sim.cohort.tabular.outcomes import Unit, ZeroTime, classes, event, label, measured, time_days, zero_times
from sim.cohort.tabular.patients import NAMELESS, counts, name_patients
from sim.cohort.tabular.predictors import choose_predictors
from sim.cohort.tabular.read import TextFile, read
from sim.cohort.tabular.rule import parse
from sim.cohort.tabular.sheet import Sheet, concatenate, join_side_file, split_by_column, without_marks
from sim.files import fingerprint
from sim.lazy import pd

TAB = "\\t"  # as it is written in a setting
GIVEAWAY = "may give the outcome away"  # key of the notes


class Incomplete(Enum):
    """What becomes of a row with a predictor that is not recorded."""

    keep = "keep"  # the gap stays, and the federation adds an indicator of it
    drop = "drop"


class Unlabelled(Enum):
    """What becomes of a row whose outcome is not recorded."""

    refuse = "refuse"
    drop = "drop"


@dataclass
class Tabular(Source):
    """CSV (also .gz) or Parquet.

    Outcomes are `label` (yes or no), `classes` (several), `value` (a number), `count`, and `survival` (time and event).
    """

    places = ("dir", "files", "path", "extra")

    name: str = "tabular"  # name of the cohort in records
    origin: str = ""  # where the data come from: kept with every run, and named when a file is not found
    dir: str = ""  # folder that relative files are in
    files: dict[str, str] = field(default_factory=dict)  # site -> its file
    path: str = ""  # instead of files: one file with all sites, or "visits-*.csv": one per site, named by what * is
    site: str = ""  # column of one file that names the site; empty = one site, for a partition to assign
    columns: list[str] = field(default_factory=list)  # names of the columns where CSVs have no header line
    separator: str = ","  # one character between the cells of a CSV, or \t for a tab
    comment: str = ""  # mark of the lines above a CSV's header, such as "#"
    skip: int = 0  # further lines above the header, such as a title
    decimal: str = "."  # mark before the fraction of a number: . or ,
    missing_marks: list[str] = field(default_factory=lambda: list(MARKS))  # words for "not recorded", as is ""
    extra: str = ""  # CSV with further columns, keyed by `site` and `row` (from 0 within its site); not under `dir`
    label: str = ""  # column of a yes-or-no outcome
    positive: str = ""  # rule of a true label: "== yes", "!= 0", "> 0", "in [2, 3]"; empty = 0/1 or true/false
    classes: str = ""  # column of an outcome of several classes, its words the classes
    value: str = ""  # column of an outcome that is a number
    count: str = ""  # column of an outcome that counts, in whole numbers from 0
    time: str = ""  # column of the time to event or end of follow-up
    unit: Unit = Unit.days  # of `time`; a month is 365.25 / 12 days
    zero_time: ZeroTime = ZeroTime.refuse  # what becomes of a row whose time is 0
    event: str = ""  # column that says whether the event happened at that time
    happened: str = ""  # rule of a true event, as for `positive`
    patient: str = ""  # column of the patient's number; empty = every row is a patient
    local_patients: bool = False  # true = hospitals number their own patients, so equal numbers are not one person
    split: str = ""  # column with train, valid or test; empty = the federation splits the rows itself
    features: list[str] = field(default_factory=list)  # predictors; empty = every column not used otherwise
    categorical: list[str] = field(default_factory=list)  # predictors that are names or codes, not numbers
    dates: list[str] = field(default_factory=list)  # predictors that are days, 2015-12-31: numbers of days
    groups: list[str] = field(default_factory=list)  # columns of patient groups; they predict only if in `features`
    drop: list[str] = field(default_factory=list)  # columns to leave out
    incomplete: Incomplete = Incomplete.keep
    unlabelled: Unlabelled = Unlabelled.refuse

    def __post_init__(self) -> None:
        if bool(self.files) == bool(self.path):
            raise Refused(
                "Name either cohort.files (site: file, one file per hospital) or cohort.path (one file for all)."
            )
        if self.site and (self.files or "*" in self.path):
            raise Refused(f"cohort.site={self.site!r}: cohort.files already names the sites. Leave cohort.site empty.")
        if not any((self.label, self.classes, self.value, self.count, self.time)):
            raise Refused(
                "No outcome: name cohort.label, or cohort.classes, or cohort.value, or cohort.count, "
                "or cohort.time and cohort.event."
            )
        if bool(self.time) != bool(self.event):
            raise Refused(f"cohort.time={self.time!r}, cohort.event={self.event!r}: a survival outcome needs both.")
        self.separator = "\t" if self.separator == TAB else self.separator
        if not re.fullmatch(r"[ -~\t]", self.separator) or self.separator in '"' or self.separator.isalnum():
            raise Refused(
                f"cohort.separator={self.separator!r}: allowed one character, such as , ; | or {TAB} for a tab."
            )
        if self.decimal not in (".", ",") or self.decimal == self.separator:
            raise Refused(
                f"cohort.decimal={self.decimal!r}: allowed . or , and not the separator ({self.separator!r}). "
                "Name both, such as 'cohort.separator=\";\"' 'cohort.decimal=\",\"'."
            )
        within("cohort.skip", self.skip, 0)
        parse("cohort.positive", self.positive)
        parse("cohort.happened", self.happened)

    def load(self, seed: int) -> Cohort:
        """The cohort in the files; draws nothing. All errors in its columns are reported together."""
        whole = self.sheet()
        predictors = self.predictors(whole)
        kept = self.complete(whole, predictors)
        if self.site:
            kept.refuse_first(self.site, kept.site == "", "names no site", NAMELESS)
        told: list[str] = []
        table = pd.DataFrame({"patient": name_patients(kept, self.patient, self.local_patients), "site": kept.site})
        outcomes: dict[str, Outcome] = {}
        with collecting(told):
            if self.label:
                table["label"] = label(kept, self.label, self.positive)
                outcomes["label"] = Binary("label")
        with collecting(told):
            if self.classes:
                table["classes"] = classes(kept, self.classes)
                outcomes["classes"] = Categorical("classes")
        for name, column, kind in (("value", self.value, Numeric), ("count", self.count, Count)):
            with collecting(told):
                if column:
                    table[f"outcome_{name}"] = measured(kept, column, name)
                    outcomes[name] = kind(f"outcome_{name}")
        with collecting(told):
            if self.time:
                table["time_days"] = time_days(kept, self.time, self.unit, self.zero_time)
        with collecting(told):
            if self.time:
                table["event"] = event(kept, self.event, self.happened)
                outcomes["survival"] = Survival("time_days", "event")
        if self.split:
            table["split"] = kept.cells[self.split]
        with collecting(told):
            values = {column: self.values(kept, column) for column in self.readable(kept, predictors)}
        if told:
            raise Refused(told[0] if len(told) == 1 else "\n".join(f"{at}. {one}" for at, one in enumerate(told, 1)))
        values |= {c: category(kept, c) for c in self.groups if c not in predictors}
        table = pd.concat([table, pd.DataFrame(values, index=table.index)], axis=1)
        if not self.features:
            refuse_ids(table, predictors)
        split = "split" if self.split else None
        by_outcome = dict.fromkeys(outcomes, tuple(predictors))
        notes = {"origin": self.origin, **counts(whole, kept, table["patient"].to_numpy(dtype=str), bool(self.patient))}
        notes[GIVEAWAY] = in_words(giveaways(table, outcomes, predictors)) or "none"
        return Cohort(self.name, table, outcomes, by_outcome, split=split, notes=notes)

    def readable(self, sheet: Sheet, predictors: list[str]) -> list[str]:
        """The predictors; refuses those that are to be numbers and hold text, all at once."""
        plain = [column for column in predictors if column not in {*self.categorical, *self.dates}]
        refuse_text(sheet, plain, {"categorical": self.categorical, "dates": self.dates, "drop": self.drop})
        return predictors

    def values(self, sheet: Sheet, column: str) -> pd.Categorical | NDArray[np.float64]:
        """One predictor, [R]."""
        if column in self.categorical:
            return category(sheet, column)
        if column in self.dates:
            return date_days(sheet, column)
        return number(sheet, column, "Add the column to cohort.categorical.")

    def fingerprint(self, seed: int) -> str:
        """Contents of all files, keyed by the sites they belong to."""
        sites = {f"site {site}": path for site, path in self.by_site().items()}
        return fingerprint((sites or {"all": self.file(self.path)}) | self.further())

    def by_site(self) -> dict[str, Path]:
        """Site -> path of its file; empty if one file holds all sites."""
        if "*" in self.path:
            return matching_files(self.dir, self.path)
        return {site: self.file(name) for site, name in self.files.items()}

    def further(self) -> dict[str, Path]:
        """Path of the file with further columns by the name of its setting; empty if there is none."""
        return {"extra": existing(locate(self.extra), "cohort.extra", "")} if self.extra else {}

    def sheet(self) -> Sheet:
        """Cells of all files, gaps as ""."""
        files = self.by_site()
        if files:
            sheet = concatenate({site: self.read(path) for site, path in files.items()}, self.used)
        else:
            sheet = split_by_column(self.read(self.file(self.path)), self.site)
        for path in self.further().values():
            sheet = join_side_file(sheet, without_marks(read(path, Form()), self.missing_marks))
        return replace(sheet, decimal=self.decimal)

    def read(self, path: Path) -> TextFile:
        """Cells of one file, gaps as ""."""
        form = Form(self.separator, tuple(self.columns), self.comment, self.skip)
        return without_marks(read(path, form, self.decimal), self.missing_marks)

    def used(self, column: str) -> bool:
        """Whether a column of a file is used."""
        roles = (*self.answers, self.patient, self.split, *self.groups)
        return column in (*self.features, *roles) or not (self.features or column in self.drop or column == ROW_NAMES)

    @property
    def answers(self) -> list[str]:
        """Columns that hold outcomes."""
        every = (self.label, self.classes, self.value, self.count, self.time, self.event)
        return [column for column in every if column]

    def file(self, name: str) -> Path:
        """Path of a file of `files` or `path`; refuses one that does not exist."""
        return existing(locate(str(Path(self.dir) / name)), "cohort.dir", self.origin)

    def predictors(self, sheet: Sheet) -> list[str]:
        """Columns that predict, in the order of `features` or else of the files."""
        roles = {"site": self.site, "label": self.label, "classes": self.classes, "time": self.time}
        roles |= {"value": self.value, "count": self.count}
        roles |= {"event": self.event, "patient": self.patient, "split": self.split}
        columns = list(sheet.cells.columns)
        return choose_predictors(columns, roles, self.features, self.categorical, self.groups, self.drop, self.dates)

    def complete(self, sheet: Sheet, predictors: list[str]) -> Sheet:
        """Rows that `incomplete` and `unlabelled` keep; refuses if none is left."""
        keep = np.ones(len(sheet.row), dtype=bool)
        if self.incomplete is Incomplete.drop:
            keep &= ~sheet.missing(predictors)
        if self.unlabelled is Unlabelled.drop:
            keep &= ~sheet.missing(self.answers)
        if self.time and self.zero_time is ZeroTime.drop:
            keep &= ~zero_times(sheet, self.time)
        if not keep.any():
            raise Refused(
                f"None of {len(keep)} rows is complete: set cohort.incomplete=keep, or drop columns with many missing "
                "values."
            )
        return sheet.filter(keep)


@contextmanager
def collecting(told: list[str]) -> Iterator[None]:
    """Notes a refusal instead of passing it on, so that the next columns are looked at too."""
    try:
        yield
    except Refused as refusal:
        told.append(str(refusal))
