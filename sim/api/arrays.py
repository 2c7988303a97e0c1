"""Arrays and data frames of a program as a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim.api.columns import categories, column, numbers, plain, predictor, table, words
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

    X        [R, F] numbers, NaN or masked = not recorded; or a data frame, whose columns of words become categories
    y        [R] the outcome: true or false (or 0 and 1), words for classes, other numbers for a measurement; what is
             missing is not known of this patient
    time, event  [R] in place of y: days to the event or to the end of follow-up, and whether it happened
    site     [R] who holds the row; one word where the partition is to deal the rows out
    patient  [R] whose row it is; without it every row is a patient
    split    [R] train, valid or test; without it the experiment's settings split
    kind     type of y, if it differs from what its values suggest: label, classes, value or count

    Rows are used in order; the index of a frame or series is ignored. Raises Refused.
    """
    predictors = features(X)
    rows = len(predictors)
    sites = column("site", [site] * rows if isinstance(site, str) else site, rows)
    patients = column("patient", np.arange(rows) if patient is None else patient, rows)
    columns: dict[str, Any] = {"patient": words("patient", patients), "site": words("site", sites)}
    if split is not None:
        columns["split"] = words("split", column("split", split, rows))
    found, outcomes = survival(time, event, rows) if y is None else answer(y, time, event, kind, rows)
    clash = [one for one in predictors if one in OWN]
    if clash:
        raise Refused(f"X: column {clash[0]!r} has a name that fedtrial gives. Rename it: X.rename(columns=...).")
    joined = pd.concat([pd.DataFrame({**columns, **found}, index=predictors.index), predictors], axis=1)
    by_outcome = dict.fromkeys(outcomes, tuple(map(str, predictors)))
    notes = {"origin": "arrays of a program"}
    made = Cohort(name, joined, outcomes, by_outcome, split=None if split is None else "split", notes=notes)
    return InMemory(name, made)


def features(X: ArrayLike | pd.DataFrame) -> pd.DataFrame:
    """Predictors with an index from 0."""
    given = table(X)
    names = [str(one) for one in given.columns]
    parts = [given.iloc[:, at].reset_index(drop=True) for at in range(len(names))]
    made = [predictor(f"X, column {name!r}", part) for name, part in zip(names, parts, strict=True)]
    return pd.concat(made, axis=1, keys=names) if made else pd.DataFrame(index=range(len(given)))


def survival(
    time: ArrayLike | None, event: ArrayLike | None, rows: int
) -> tuple[Mapping[str, Any], Mapping[str, Outcome]]:
    """Columns and outcome of times and events."""
    if time is None or event is None:
        raise Refused("No outcome: give y, or both time and event.")
    happened = plain("event", column("event", event, rows))
    seen = happened.unique().tolist()
    if not set(seen) <= {0, 1}:
        raise Refused(f"event: allowed true and false, or 1 and 0; it has {brief(seen)}.")
    days = numbers("time", column("time", time, rows))
    return {"time_days": days, "event": happened.astype(bool)}, {"survival": Survival("time_days", "event")}


def answer(
    y: ArrayLike, time: ArrayLike | None, event: ArrayLike | None, kind: str, rows: int
) -> tuple[Mapping[str, Any], Mapping[str, Outcome]]:
    """Column and outcome of y."""
    if time is not None or event is not None:
        raise Refused("y beside time or event: an outcome is one of the two. Leave one out.")
    series = plain("y", column("y", y, rows))
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
    return {name: numbers("y", series)}, {kind: outcome}


def looks_like(series: pd.Series) -> str:
    """The type of an outcome, inferred from its values."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "classes"
    seen = pd.unique(series.dropna()).tolist()
    if all(isinstance(value, bool | int | float) and value in (0, 1) for value in seen):
        return "label"
    return "classes" if any(isinstance(value, str) for value in seen) else "value"
