"""Predictors that should not predict: a column that numbers the patients, or all but gives the outcome away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.cohort.outcomes import Binary, Categorical, Numeric, Outcome, Survival
from sim.lazy import pd

FEWEST = 20  # patients; in fewer, different values in all of them say little
MOST_SHOWN = 10
ANSWERS = ("label", "time_days", "event", "outcome_value", "outcome_count")
AUROC, RANK = 0.98, 0.9  # above this a column is reported: hardly any real predictor ranks events, or times, so well
ID_WORDS = "id|pid|mrn|uid|uuid|nr|no|num|number|row_?names?|row|index|patient|subject|case|record"
NAMED_ID = re.compile(rf"(.*[_. -])?({ID_WORDS})(_?id)?|unnamed.*", re.IGNORECASE)


def refuse_ids(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a column with as many values as there are patients, if these are words, or numbers from 0 or 1 on.

    Other whole numbers are refused if the column is named like an id; any other column could be a measurement.
    """
    people, patients = pd.factorize(table["patient"])
    if len(patients) < FEWEST:
        return
    for column in columns:
        code, values = pd.factorize(table[column])
        if len(values) != len(patients) or (code < 0).any() or not one_value_each(people, code):
            continue
        if numbers_patients(table[column], column):
            raise Refused(
                f"Column {column!r} has another value for each of {len(patients)} patients, so it identifies patients "
                f"and cannot predict. List it in cohort.drop, or set cohort.patient={column!r}; if it is a "
                "measurement, list all predictors in cohort.features."
            )


def one_value_each(people: NDArray[np.int64], code: NDArray[np.int64]) -> bool:
    """Whether all rows of a patient have one value, and no two patients the same; int [R] each."""
    pairs = len(np.unique(people * (code.max() + 1) + code))
    return bool(pairs == code.max() + 1 == people.max() + 1)


def numbers_patients(series: pd.Series, name: str) -> bool:
    """Whether values that differ from patient to patient are surely their numbers or names."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return True
    value = series.to_numpy(dtype=np.float64)
    if not (value == np.round(value)).all():
        return False
    counted = value.min() in (0, 1) and np.ptp(value) + 1 == series.nunique()
    return bool(counted) or NAMED_ID.fullmatch(name) is not None


def giveaways(table: pd.DataFrame, outcomes: Mapping[str, Outcome], columns: Sequence[str]) -> dict[str, str]:
    """Columns that alone almost determine an outcome, each with its score."""
    if len(table) < FEWEST:
        return {}
    told = {}
    answers = table[[name for name in ANSWERS if name in table]]  # few columns, as rows are chosen again and again
    for column in columns:
        series = table[column]
        known = series.notna().to_numpy()
        said = [tells(series[known], answers[known], one) for one in outcomes.values()] if known.sum() >= FEWEST else []
        if any(said):
            told[column] = next(filter(None, said))
    return told


def in_words(told: Mapping[str, str]) -> str:
    """The first columns of `giveaways` with their scores, and the number of further ones."""
    more = f" and {len(told) - MOST_SHOWN} more" if len(told) > MOST_SHOWN else ""
    return ", ".join(f"{column} ({words})" for column, words in list(told.items())[:MOST_SHOWN]) + more


def tells(series: pd.Series, table: pd.DataFrame, outcome: Outcome) -> str:
    """A text on how well a complete column alone predicts an outcome; "" if it does not almost determine it."""
    # Imported here because it takes a second, and the settings of a cohort are read by every command.
    from sim.metrics.discrimination import auroc

    if isinstance(outcome, Categorical):
        return ""
    categorical = isinstance(series.dtype, pd.CategoricalDtype)
    if isinstance(outcome, Numeric):
        return "" if categorical else ranks_as(series, table[outcome.value], "outcome")
    event = table[outcome.label if isinstance(outcome, Binary) else outcome.event].to_numpy(dtype=bool)
    if categorical:
        if series.nunique() * FEWEST > len(series):
            return ""  # with few patients per level, their own outcomes would be revealed
        value = pd.Series(event, series.index).groupby(series, observed=True).transform("mean").to_numpy()
    else:
        value = series.to_numpy(dtype=np.float64)
    score = float(auroc(value, event, np.zeros(len(value), dtype=np.int64), 1)[0])  # NaN if all or none are events
    if abs(score - 0.5) >= AUROC - 0.5:
        return f"AUROC {max(score, 1 - score):.3f}"
    if isinstance(outcome, Survival) and not categorical:
        return ranks_as(series, table[outcome.time_days], "time")
    return ""


def ranks_as(series: pd.Series, answer: pd.Series, word: str) -> str:
    """A text on how well a numeric column ranks the patients by an outcome; "" if it does not almost determine it."""
    value = series.to_numpy(dtype=np.float64)
    if not np.ptp(value) > 0 or not np.ptp(answer) > 0:
        return ""
    order = np.corrcoef(pd.Series(value).rank(), answer.rank())[0, 1]
    return f"rank correlation with the {word} {order:.3f}" if abs(order) >= RANK else ""
