"""What every cohort must satisfy: each breach is refused, with column, row, value and remedy."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.outcomes import Binary, Survival
from sim.cohort.table import Cohort

Change = Callable[[pd.DataFrame], pd.DataFrame]


def cohort() -> Cohort:
    table = pd.DataFrame(
        {
            "patient": ["p0", "p1", "p2", "p2", "p3"],
            "site": ["a", "a", "b", "b", "b"],
            "age": [60.0, np.nan, 50.0, 51.0, 70.0],
            "grade": pd.Categorical(["1", "2", None, "1", "1"]),
            "male": [True, False, True, True, False],
            "sick": [True, False, False, True, False],
            "days": [10.0, 20.0, 30.0, 40.0, 50.0],
            "dead": [True, False, False, True, False],
            "part": ["train", "test", "train", "train", "valid"],
        }
    )
    outcomes = {"sick": Binary("sick"), "survival": Survival("days", "dead")}
    predictors = dict.fromkeys(outcomes, ("age", "grade", "male"))
    truth = pd.DataFrame({"sick": np.linspace(0, 1, 5), "survival": np.zeros(5)})
    return Cohort("toy", table, outcomes, predictors, truth, split="part")


def test_gaps_categoricals_flags_and_repeated_patients_are_fine() -> None:
    assert cohort().events("survival").tolist() == [True, False, False, True, False]


def put(column: str, row: int, value: object) -> Change:
    """One cell."""
    return lambda table: table.assign(**{column: [value if at == row else old for at, old in enumerate(table[column])]})


def fill(column: str, value: object) -> Change:
    return lambda table: table.assign(**{column: value})


BREACHES: dict[str, tuple[Change, list[str]]] = {
    "no rows": (lambda t: t.iloc[:0], ["has no rows", "at least one patient"]),
    "no patient column": (lambda t: t.drop(columns="patient"), ["no column 'patient'"]),
    "no predictor column": (lambda t: t.drop(columns="age"), ["no column 'age'", "predictor of outcome"]),
    "no event column": (lambda t: t.drop(columns="dead"), ["no column 'dead'", "outcome 'survival'"]),
    "site missing": (put("site", 1, None), ["'site'", "row 1", "drop the row"]),
    "label missing": (put("sick", 2, None), ["'sick'", "row 2", "'b'", "'p2'", "never missing"]),
    "label of numbers": (fill("sick", [1, 0, 0, 1, 0]), ["'sick'", "row 0", "True or False"]),
    "label of words": (put("sick", 3, "yes"), ["'sick'", "row 3", "'yes'", "True or False"]),
    "all sick": (fill("sick", True), ["'sick' is True in all 5 rows", "both classes"]),
    "none sick": (fill("sick", False), ["'sick' is False in all 5 rows", "both classes"]),
    "none dead": (fill("dead", False), ["'survival' is False in all 5 rows", "at least one event"]),
    "time negative": (put("days", 4, -1.0), ["'days'", "row 4", ": -1.0;", "> 0"]),
    "time zero": (put("days", 0, 0.0), ["'days'", "row 0", "0.5 days"]),
    "time missing": (put("days", 1, np.nan), ["'days'", "row 1", "nan"]),
    "time infinite": (put("days", 1, np.inf), ["'days'", "row 1", "inf"]),
    "time of words": (fill("days", "long"), ["'days'", "allowed numbers, in days"]),
    "event without time": (put("days", 3, np.nan), ["'days'", "row 3"]),
    "predictor infinite": (put("age", 2, -np.inf), ["'age'", "row 2", "-inf", "finite"]),
    "predictor missing": (fill("age", np.nan), ["'age'", "missing in all 5 rows", "Drop"]),
    "categorical missing": (fill("grade", pd.Categorical([None] * 5, categories=["1"])), ["'grade'", "missing in all"]),
    "predictor of words": (
        fill("age", ["old", None, "young", "old", "old"]),
        ["'age'", "row 0", "'old'", "categorical"],
    ),
    "predictor of dates": (fill("age", pd.Timestamp("2020-01-01")), ["'age'", "numbers or a categorical"]),
    "split word": (put("part", 2, "training"), ["'part'", "row 2", "'training'", "train, valid, test"]),
    "split missing": (put("part", 2, None), ["'part'", "row 2", "Mark every row"]),
    "patient at two sites": (put("site", 3, "a"), ["'p2'", "'a', 'b'", "cohort.local_patients"]),
}


@pytest.mark.parametrize("case", BREACHES)
def test_breaches_are_refused(case: str) -> None:
    change, words = BREACHES[case]
    whole = cohort()
    with pytest.raises(Refused) as refusal:
        replace(whole, table=change(whole.table))
    assert "'toy'" in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_truth_must_fit_the_table() -> None:
    whole = cohort()
    assert whole.truth is not None
    with pytest.raises(Refused, match="truth has 4 rows, the table 5"):
        replace(whole, truth=whole.truth.iloc[:4])
    with pytest.raises(Refused, match="column of truth='survival'"):
        replace(whole, truth=whole.truth[["sick"]])
    with pytest.raises(Refused, match="not finite"):
        replace(whole, truth=whole.truth.assign(sick=np.nan))


def test_an_outcome_is_no_predictor_of_itself_and_needs_some() -> None:
    whole = cohort()
    with pytest.raises(Refused, match="'days' is both outcome and predictor"):
        replace(whole, predictors={**whole.predictors, "survival": ("age", "days")})
    with pytest.raises(Refused, match="outcome 'sick' has no predictors"):
        replace(whole, predictors={"survival": ("age",)})
    with pytest.raises(Refused, match="has no outcome"):
        replace(whole, outcomes={}, predictors={})
    with pytest.raises(Refused, match=r"'male' occurs twice"):
        replace(whole, table=pd.concat([whole.table, whole.table[["male"]]], axis=1))
