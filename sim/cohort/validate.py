"""Validation of a cohort before anything is computed from it; the first violation is refused, with its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.checks import MAX_WORDS, Refused, brief, did_you_mean, one_of
from sim.cohort.outcomes import SPLITS, Binary, Categorical, Count, Numeric, Outcome, Survival
from sim.factorize import at_several_places
from sim.lazy import pd


class CohortFields(Protocol):
    """The fields of a `Cohort` that are checked here (a protocol, as table.py imports this file)."""

    @property
    def name(self) -> str:
        """Name of the cohort in a config."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per record."""

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Name -> outcome."""

    @property
    def predictors(self) -> Mapping[str, tuple[str, ...]]:
        """Name of an outcome -> its predictor columns."""

    @property
    def split(self) -> str | None:
        """Column of the split that the cohort brings, if any."""

    @property
    def truth(self) -> pd.DataFrame | None:
        """True scores, synthetic cohorts only."""

    def events(self, name: str) -> NDArray[np.bool_]:
        """Whether the outcome happened, bool [R]."""

    def known(self, name: str) -> NDArray[np.bool_]:
        """Whether the outcome is known, bool [R]."""


def validate(cohort: CohortFields) -> None:
    """Raise Refused if the cohort cannot be learned from; messages count rows from 0."""
    if cohort.table.empty:
        raise Refused(f"Cohort {cohort.name!r} has no rows. Give a table with at least one patient.")
    check_columns(cohort)
    check_one_site_per_patient(cohort)
    for name, outcome in cohort.outcomes.items():
        if isinstance(outcome, Binary):
            if cohort.table[outcome.label].dtype != "boolean":  # a nullable column may have gaps: NA = not known
                check_flag(cohort, outcome.label, "label")
        elif isinstance(outcome, Categorical):
            check_levels(cohort, name, outcome)
        elif isinstance(outcome, Numeric):
            check_numbers(cohort, name, outcome)
        else:
            check_survival(cohort, outcome)
        check_classes(cohort, name)
    for column in dict.fromkeys(column for columns in cohort.predictors.values() for column in columns):
        check_predictor(cohort, column)
    if cohort.split is not None:
        words = cohort.table[cohort.split].isin(SPLITS)
        refuse_first(cohort, cohort.split, ~words.to_numpy(), f"allowed {', '.join(SPLITS)}", "Mark every row.")
    check_truth(cohort)


def check_columns(cohort: CohortFields) -> None:
    """Every column that the cohort names exists, once, and no predictor is part of its outcome."""
    table, twice = cohort.table, cohort.table.columns.duplicated()
    if twice.any():
        raise Refused(f"Cohort {cohort.name!r}: column {table.columns[twice][0]!r} occurs twice. Rename or drop one.")
    if not cohort.outcomes:
        raise Refused(f"Cohort {cohort.name!r} has no outcome. Name a label, or a time and an event.")
    for column in ("patient", "site"):
        require_column(cohort, column, "every row names its patient and its site")
        refuse_first(cohort, column, table[column].isna().to_numpy(), "allowed any name", "Fill it in or drop the row.")
    for name, outcome in cohort.outcomes.items():
        parts = columns_of(outcome)
        for column in parts:
            require_column(cohort, column, f"it is part of outcome {name!r}")
        predictors = cohort.predictors.get(name, ())
        if not predictors:
            raise Refused(f"Cohort {cohort.name!r}: outcome {name!r} has no predictors. Name at least one column.")
        for column in predictors:
            require_column(cohort, column, f"it is a predictor of outcome {name!r}")
            if column in parts:
                raise Refused(
                    f"Cohort {cohort.name!r}: column {column!r} is both outcome and predictor. Drop it from one."
                )
    if cohort.split is not None:
        require_column(cohort, cohort.split, "it holds the split")


def columns_of(outcome: Outcome) -> tuple[str, ...]:
    """Columns that hold an outcome."""
    if isinstance(outcome, Survival):
        return (outcome.time_days, outcome.event)
    return (outcome.value,) if isinstance(outcome, Numeric) else (outcome.label,)


def require_column(cohort: CohortFields, column: str, why: str) -> None:
    """Refuse a column that the table lacks; the message lists the columns and the nearest name."""
    if column not in cohort.table.columns:
        names = sorted(map(str, cohort.table.columns))
        more = f" and {len(names) - MAX_WORDS} more" if len(names) > MAX_WORDS else ""
        has = f"it has {', '.join(names[:MAX_WORDS])}{more}.{did_you_mean(column, names)}"
        raise Refused(f"Cohort {cohort.name!r} has no column {column!r}, but {why}; {has}")


def refuse_first(cohort: CohortFields, column: str, wrong: NDArray[np.bool_], allowed: str, remedy: str) -> None:
    """Refuse the first row marked `wrong` [R], naming column, row and value."""
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    site, patient, value = (cell_text(cohort.table[name].iloc[row]) for name in ("site", "patient", column))
    more = f" ({int(wrong.sum())} such rows)" if wrong.sum() > 1 else ""
    raise Refused(
        f"Cohort {cohort.name!r}, column {column!r}, row {row} (site {site}, patient {patient}): "
        f"{value}{more}; {allowed}. {remedy}"
    )


def cell_text(value: object) -> str:
    """A cell as text: words in quotes, numbers bare."""
    return brief(value) if isinstance(value, str) else str(value)


def check_one_site_per_patient(cohort: CohortFields) -> None:
    """All records of a patient are at one site: a federation cannot match patients across sites."""
    several = at_several_places(cohort.table["patient"], cohort.table["site"])
    if len(several):
        patient = several["patient"].iloc[0]
        sites = sorted(several["place"][several["patient"] == patient].astype(str))
        raise Refused(
            f"Cohort {cohort.name!r}: patient {patient!r} is at sites {', '.join(map(repr, sites))} "
            f"({several['patient'].nunique()} such patients); allowed one site. Make patient numbers unique across "
            "sites (if each file has its own numbers: cohort.local_patients=true), or keep each patient at one site."
        )


def check_flag(cohort: CohortFields, column: str, role: str) -> None:
    """A label or event is a bool column without gaps."""
    series = cohort.table[column]
    refuse_first(cohort, column, series.isna().to_numpy(), f"a {role} is never missing", "Fill it in or drop the row.")
    if not pd.api.types.is_bool_dtype(series):
        wrong = ~series.map(lambda value: isinstance(value, bool | np.bool_)).to_numpy(dtype=bool)
        refuse_first(cohort, column, wrong, f"a {role} is True or False", "Say which values mean True.")


def check_levels(cohort: CohortFields, name: str, outcome: Categorical) -> None:
    """The label is a categorical of which at least two levels occur."""
    series = cohort.table[outcome.label]
    where = f"Cohort {cohort.name!r}, column {outcome.label!r}: outcome {name!r}"
    if not isinstance(series.dtype, pd.CategoricalDtype):
        raise Refused(f"{where} is {series.dtype}; allowed a pandas categorical. Make it one.")
    occurring = sorted(map(str, series.dropna().unique()))
    if len(occurring) < 2:
        raise Refused(
            f"{where} is {', '.join(map(repr, occurring)) or 'missing'} in all {len(series)} rows; allowed at least "
            "two classes. Leave the outcome out."
        )


def check_numbers(cohort: CohortFields, name: str, outcome: Numeric) -> None:
    """Known values are finite numbers that differ, and of a count whole ones from 0."""
    series = cohort.table[outcome.value]
    if not pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
        raise Refused(f"Cohort {cohort.name!r}, column {outcome.value!r}: {series.dtype}; allowed numbers.")
    value = series.to_numpy(dtype=np.float64, na_value=np.nan)
    refuse_first(cohort, outcome.value, np.isinf(value), "allowed finite numbers", "Correct it or leave it empty.")
    if isinstance(outcome, Count):
        wrong = (value < 0) | (value != np.round(value))
        refuse_first(
            cohort, outcome.value, wrong & ~np.isnan(value), "a count is a whole number from 0", "Name it as a value."
        )
    if series.nunique() < 2:
        raise Refused(f"Cohort {cohort.name!r}: outcome {name!r} is constant in {len(series)} rows. Leave it out.")


def check_survival(cohort: CohortFields, outcome: Survival) -> None:
    """Every row has a positive, finite time and says whether the event happened then."""
    series = cohort.table[outcome.time_days]
    if not pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
        raise Refused(
            f"Cohort {cohort.name!r}, column {outcome.time_days!r}: {series.dtype}; allowed numbers, in days."
        )
    time = series.to_numpy(dtype=np.float64, na_value=np.nan)
    remedy = "Correct the time or drop the row; an event on the first day may be recorded as 0.5 days."
    refuse_first(cohort, outcome.time_days, ~(np.isfinite(time) & (time > 0)), "allowed finite days > 0", remedy)
    check_flag(cohort, outcome.event, "event")


def check_classes(cohort: CohortFields, name: str) -> None:
    """Both classes of a label occur, and at least one event."""
    if isinstance(cohort.outcomes[name], Categorical | Numeric):
        return
    events = cohort.events(name)[cohort.known(name)]
    binary = isinstance(cohort.outcomes[name], Binary)
    if not len(events):
        raise Refused(f"Cohort {cohort.name!r}: outcome {name!r} is not known for any patient. Leave it out.")
    if not events.any() or (binary and events.all()):
        word = "label" if binary else "event"
        raise Refused(
            f"Cohort {cohort.name!r}: {word} of outcome {name!r} is {bool(events[0])} in all {len(events)} rows; "
            f"allowed {'both classes' if binary else 'at least one event'}. Check how its values are read."
        )


def check_predictor(cohort: CohortFields, column: str) -> None:
    """A predictor is finite numbers or a categorical, and recorded in at least one row."""
    series = cohort.table[column]
    if series.isna().all():
        raise Refused(
            f"Cohort {cohort.name!r}, column {column!r}: missing in all {len(series)} rows. Drop the predictor."
        )
    if isinstance(series.dtype, pd.CategoricalDtype):
        return
    if not pd.api.types.is_numeric_dtype(series):
        wrong = series.notna().to_numpy()
        refuse_first(cohort, column, wrong, "allowed numbers or a categorical", "List the column under categorical.")
    number = series.to_numpy(dtype=np.float64, na_value=np.nan)
    refuse_first(cohort, column, np.isinf(number), "allowed finite numbers", "Correct it, or leave it out as missing.")


def check_truth(cohort: CohortFields) -> None:
    """The truth has as many rows as the table, and a finite score for every outcome but those of several classes."""
    if cohort.truth is None:
        return
    if len(cohort.truth) != len(cohort.table):
        raise Refused(f"Cohort {cohort.name!r}: truth has {len(cohort.truth)} rows, the table {len(cohort.table)}.")
    for name in (name for name, outcome in cohort.outcomes.items() if not isinstance(outcome, Categorical)):
        one_of(f"Cohort {cohort.name!r}: column of truth", name, map(str, cohort.truth.columns))
        if not np.isfinite(cohort.truth[name].to_numpy(dtype=np.float64)).all():
            raise Refused(f"Cohort {cohort.name!r}: truth of outcome {name!r} is not finite in every row.")
