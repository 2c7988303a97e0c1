"""Arrays and data frames of a program as a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.checks import Refused, brief, one_of
from sim.cohort.in_memory import InMemory
from sim.cohort.outcomes import Binary, Categorical, Count, Numeric, Outcome, Survival
from sim.cohort.table import Cohort
from sim.lazy import pd

KINDS = ("label", "classes", "value", "count")
OWN = ("patient", "site", "split", "time_days", "event", *(f"outcome_{kind}" for kind in KINDS))  # columns of ours


def cohort(
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike | None = None,
    *,
    site: ArrayLike,
    time: ArrayLike | None = None,
    event: ArrayLike | None = None,
    patient: ArrayLike | None = None,
    split: ArrayLike | None = None,
    kind: str = "",
    name: str = "arrays",
) -> InMemory:
    """A cohort of R rows for `experiment(cohort=...)`.

    X        [R, F] numbers, NaN = not recorded; or a data frame, whose text columns become categories
    y        [R] the outcome: true or false (or 0 and 1), words for classes, other numbers for a measurement; a missing
             value is an unknown outcome
    time, event  [R] instead of y: days to the event or to the end of follow-up, and whether it happened
    site     [R] the site of the row; one word if the partition assigns the rows
    patient  [R] the patient of the row; without it every row is a patient
    split    [R] train, valid or test; without it the experiment's settings split
    kind     type of y, if it differs from what its values suggest: label, classes, value or count

    Rows are used in order; the index of a frame or series is ignored. Raises Refused.
    """
    predictors = features(X)
    rows = len(predictors)
    sites = np.full(rows, site) if isinstance(site, str) else column("site", site, rows)
    patients = np.arange(rows) if patient is None else column("patient", patient, rows)
    columns: dict[str, Any] = {"patient": words("patient", patients), "site": words("site", sites)}
    if split is not None:
        columns["split"] = words("split", column("split", split, rows))
    found, outcomes = survival(time, event, rows) if y is None else answer(y, time, event, kind, rows)
    clash = [one for one in predictors if one in OWN]
    if clash:
        raise Refused(f"X: column {clash[0]!r} has a name that fedtrial uses itself. Rename it: X.rename(columns=...).")
    table = pd.concat([pd.DataFrame({**columns, **found}, index=predictors.index), predictors], axis=1)
    by_outcome = dict.fromkeys(outcomes, tuple(map(str, predictors)))
    notes = {"origin": "arrays of a program"}
    made = Cohort(name, table, outcomes, by_outcome, split=None if split is None else "split", notes=notes)
    return InMemory(name, made)


def features(X: ArrayLike | pd.DataFrame) -> pd.DataFrame:
    """Predictors with an index from 0; columns of an array are called x0, x1, ..."""
    if not isinstance(X, pd.DataFrame):
        array = np.asarray(X)
        if array.ndim != 2:
            raise Refused(f"X has shape {array.shape}: allowed [rows, features]. For one feature take X[:, None].")
        X = pd.DataFrame(array, columns=[f"x{number}" for number in range(array.shape[1])])
    made = X.reset_index(drop=True).set_axis([str(one) for one in X.columns], axis=1)
    text = made.select_dtypes(["object", "string"])
    return made.assign(**{str(name): categories(values) for name, values in text.items()})


def column(name: str, values: ArrayLike, rows: int) -> NDArray[Any]:
    """One value for every row; [R]."""
    array = np.asarray(values)
    if array.shape != (rows,):
        raise Refused(f"{name} has shape {array.shape}: allowed one value for each of the {rows} rows of X.")
    return array


def words(name: str, values: NDArray[Any]) -> NDArray[np.str_]:
    """Names as text; refuses a gap. [R]"""
    gap = np.asarray(pd.isna(values))
    if gap.any():
        raise Refused(f"{name}: row {int(gap.argmax())} has no value. Fill it in, or leave the row out.")
    return np.array([str(value) for value in values.tolist()])


def categories(values: pd.Series | NDArray[Any]) -> pd.Categorical:
    """Words as categories in alphabetical order; gaps stay gaps."""
    series = pd.Series(values)
    return pd.Categorical(series.where(series.isna(), series.astype(str)))


def survival(
    time: ArrayLike | None, event: ArrayLike | None, rows: int
) -> tuple[Mapping[str, Any], Mapping[str, Outcome]]:
    """Columns and outcome of times and events."""
    if time is None or event is None:
        raise Refused("No outcome: give y, or both time and event.")
    happened = column("event", event, rows)
    if not set(pd.unique(happened).tolist()) <= {0, 1}:
        raise Refused(f"event: allowed true and false, or 1 and 0; it has {brief(pd.unique(happened).tolist())}.")
    days = numbers("time", column("time", time, rows))
    return {"time_days": days, "event": happened.astype(bool)}, {"survival": Survival("time_days", "event")}


def answer(
    y: ArrayLike, time: ArrayLike | None, event: ArrayLike | None, kind: str, rows: int
) -> tuple[Mapping[str, Any], Mapping[str, Outcome]]:
    """Column and outcome of y."""
    if time is not None or event is not None:
        raise Refused(
            "y and time or event are both given, but an outcome is either y or time and event. Leave one out."
        )
    series = pd.Series(y).reset_index(drop=True)
    column("y", series.to_numpy(), rows)
    kind = kind or looks_like(series)
    one_of("kind", kind, KINDS)
    name = f"outcome_{kind}"
    if kind == "label":
        seen = pd.unique(series.dropna()).tolist()
        if not set(seen) <= {0, 1}:
            raise Refused(f"y: a label is true or false, or 1 or 0; it has {brief(seen)}. Or give kind='classes'.")
        flags = series.astype("boolean")
        return {name: flags if flags.isna().any() else flags.astype(bool)}, {kind: Binary(name)}
    if kind == "classes":
        ordered = isinstance(series.dtype, pd.CategoricalDtype)
        return {name: series.array if ordered else categories(series)}, {kind: Categorical(name)}
    outcome = Count(name) if kind == "count" else Numeric(name)
    return {name: numbers("y", series.to_numpy())}, {kind: outcome}


def looks_like(series: pd.Series) -> str:
    """The type of an outcome, inferred from its values."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "classes"
    seen = pd.unique(series.dropna()).tolist()
    if all(isinstance(value, bool | int | float) and value in (0, 1) for value in seen):
        return "label"
    return "classes" if any(isinstance(value, str) for value in seen) else "value"


def numbers(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Values as numbers; [R]."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise Refused(f"{name}: allowed numbers; it has {brief(values[:3].tolist())}.") from None
