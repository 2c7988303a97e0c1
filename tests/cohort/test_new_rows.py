"""New rows are encoded as the fitted ones were, or refused with row, column, value and what is allowed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cli.predict import Written, new_rows
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.clinical.conform import write
from sim.cohort.clinical.source import Clinical
from sim.cohort.encode import Encoder, Kind
from sim.cohort.new_rows import NewRows
from sim.cohort.real import Lung
from tests.toy import clinical_table

GAP = np.array([False, True, False, False])
FITTED = pd.DataFrame(
    {
        "age": [50.0, 60.0, 70.0, 65.0],
        "marker": np.where(GAP, np.nan, 1.5),
        "twin": np.where(GAP, np.nan, 2.5),
        "treated": [True, False, True, True],
        "frail": pd.array([True, None, False, True], dtype="boolean"),
        "stage": pd.Categorical(["I", "II", "NA", None], categories=["I", "II", "NA"]),
        "grade": pd.Categorical(["1", "2", "10", "1"], categories=["1", "2", "10"]),
        "visits": np.array([1, 2, 3, 4]),
    }
)
ENCODER = Encoder.of(FITTED, list(FITTED))


def encoded(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(dict(ENCODER.encode(table))).astype(np.float64)


def test_the_encoding_says_what_every_predictor_is() -> None:
    told = {one.name: (one.kind.value, one.gaps, one.flag) for one in ENCODER.predictors}
    assert told == {
        "age": ("number", False, False),
        "marker": ("number", True, True),
        "twin": ("number", True, False),  # the gaps of `marker`, which has their flag
        "treated": ("flag", False, False),
        "frail": ("flag", True, False),
        "stage": ("category", True, True),
        "grade": ("category", False, False),
        "visits": ("number", False, False),
    }
    assert [one.levels for one in ENCODER.predictors if one.kind is Kind.category] == [
        ("I", "II", "NA"),
        ("1", "2", "10"),
    ]


def test_rows_that_were_fitted_are_encoded_alike_whatever_form_they_come_in() -> None:
    text = FITTED.astype(object).where(FITTED.notna(), "").astype(str)
    for table in (
        FITTED,
        FITTED[::-1][::-1],
        text,
        text.assign(treated=["1", "0", "TRUE", " true "], age=FITTED["age"]),
    ):
        pd.testing.assert_frame_equal(encoded(NewRows(table).conform(ENCODER)), encoded(FITTED))


def test_one_row_is_encoded_as_it_is_among_others() -> None:
    for row in range(len(FITTED)):
        alone = encoded(NewRows(FITTED.iloc[[row]]).conform(ENCODER))
        pd.testing.assert_frame_equal(alone, encoded(FITTED).iloc[[row]].reset_index(drop=True))


def test_levels_that_are_numbers_may_be_written_in_two_ways() -> None:
    made = NewRows(FITTED.assign(grade=[1.0, 2.0, 10.0, 1.0])).conform(ENCODER)
    assert made["grade"].tolist() == FITTED["grade"].tolist()


def test_a_mark_of_a_gap_is_a_gap_unless_it_is_a_level() -> None:
    table = FITTED.assign(marker=["1.5", "NA", "?", "1.5"], stage=["I", "NaN", "NA", ""])
    made = NewRows(table, marks=("NA", "NaN", "?")).conform(ENCODER)
    assert made["marker"].isna().tolist() == [False, True, True, False]
    assert made["stage"].isna().tolist() == [False, True, False, True]


WRONG = {
    "no such column": ({"age": None}, "no column 'age'.*they have"),
    "a word for a number": ({"age": ["50", "60", "old", "65"]}, "row 2, column 'age': 'old'; allowed a finite number"),
    "a date for a number": ({"age": pd.to_datetime(["2020-01-01"] * 4)}, "row 0, column 'age'.*finite number"),
    "true for a number": ({"age": [True] * 4}, "column 'age': True \\(4 such rows\\); allowed a finite number"),
    "no finite number": ({"age": [50.0, np.inf, 1.0, 2.0]}, "row 1, column 'age': inf; allowed a finite number"),
    "two for a flag": ({"treated": [0, 1, 2, 1]}, "row 2, column 'treated': 2; allowed true, false, 1 or 0"),
    "yes for a flag": ({"treated": ["yes"] * 4}, "column 'treated': 'yes' .*allowed true, false, 1 or 0"),
    "an unknown level": ({"stage": ["I", "III", "II", "IV"]}, "row 1, column 'stage': 'III' .*; allowed 'I', 'II'"),
    "an unknown number": ({"grade": [1, 2, 3, 1]}, "row 2, column 'grade': 3; allowed '1', '2', '10'"),
    "a gap nobody had": ({"age": [50, np.nan, 1.0, 2.0]}, "row 1, column 'age': nan|empty; allowed no gap"),
    "a level nobody lacked": ({"grade": ["1", "2", "", "10"]}, "row 2, column 'grade': empty; allowed no gap"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_rows_that_do_not_fit_are_refused(case: str) -> None:
    columns, told = WRONG[case]
    lost = [name for name, values in columns.items() if values is None]
    table = FITTED.drop(columns=lost).assign(**{name: part for name, part in columns.items() if part is not None})
    with pytest.raises(Refused, match=told):
        NewRows(table).conform(ENCODER)


def test_no_rows_and_a_column_twice_are_refused() -> None:
    with pytest.raises(Refused, match="No rows to predict"):
        NewRows(FITTED.head(0)).conform(ENCODER)
    with pytest.raises(Refused, match="more than one column 'age'"):
        NewRows(pd.concat([FITTED, FITTED[["age"]]], axis=1)).conform(ENCODER)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("name", ["clinical", "lung", "calibrated"])
def test_a_cohort_that_was_written_to_a_file_is_encoded_alike(name: str, suffix: str, tmp_path: Path) -> None:
    """Nullable flags and whole numbers, categories and floats come back from text and from Parquet."""
    if name == "clinical":
        write(clinical_table(bmi=np.where(np.arange(40) % 5, 25.1, np.nan)), tmp_path / "clinical.parquet")
        cohort = Clinical(file=str(tmp_path / "clinical.parquet")).load(0)
    else:
        cohort = Lung().load(0) if name == "lung" else Calibrated(patients=300, marker_gaps=True).load(0)
    columns = list(cohort.predictors["survival"])
    encoder, file = Encoder.of(cohort.table, columns), tmp_path / f"rows{suffix}"
    cohort.table.to_csv(file, index=False) if suffix == ".csv" else cohort.table.to_parquet(file)
    made = NewRows(new_rows(file, Written()).table).conform(encoder)
    for (mine, values), (other, wanted) in zip(encoder.encode(made), encoder.encode(cohort.table), strict=True):
        assert mine == other
        np.testing.assert_allclose(values.astype(float), wanted.astype(float), rtol=1e-12)
