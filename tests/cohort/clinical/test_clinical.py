"""The clinical table and its cohort: what a column may hold, what may predict, and as of when."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.checks import Refused
from sim.cohort.calibrated import published
from sim.cohort.clinical import codes
from sim.cohort.clinical.conform import conform, labels, read, write
from sim.cohort.clinical.schema import TREATMENTS, columns, columns_with_role
from sim.cohort.clinical.source import Clinical, Site, Treatments
from sim.cohort.outcomes import DAYS_PER_YEAR, Binary
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.federation.split import Split
from sim.partition import Natural
from sim.run.run import prepare
from tests.toy import PATIENTS, clinical_table, federated


def cohort(folder: Path, made: pd.DataFrame | None = None, **settings: object) -> Cohort:
    write(clinical_table() if made is None else made, folder / "x.parquet")
    return Clinical(dir=str(folder), file="x.parquet", **settings).load(0)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- the schema


def test_the_schema_is_sound() -> None:
    assert set(columns()["cancer_type"].allowed) == set(published.cancers())
    for name, column in columns().items():
        assert column.meaning, name
        assert (column.kind in ("number", "whole")) == (column.range is not None), name
        assert (column.kind == "choice") == bool(column.allowed), name
        assert not column.reveals or column.reveals in columns(), name
        assert column.unit or column.kind != "number", name
    for name in TREATMENTS:
        assert {f"tx_{name}", f"tx_{name}_days"} <= set(columns_with_role("treatment"))


def test_the_codes_fill_columns_of_the_schema_with_values_that_fit() -> None:
    for one in codes.packaged().observations.values():
        column = columns()[one.column]
        for value in (*one.snomed.values(), *one.texts.values(), *one.coded.values()):
            if value is None:
                continue
            if column.kind == "whole":
                assert isinstance(value, int), one.column
                assert column.range is not None
                assert column.range[0] <= value <= column.range[1], one.column
            elif column.kind == "flag":
                assert isinstance(value, bool), one.column
            else:
                assert value in column.allowed, one.column
        assert bool(one.units) == (column.kind == "number"), one.column
    assert set(codes.packaged().comorbidities.values()) == {name for name in columns() if name.startswith("com_")}
    assert {name for one in codes.packaged().treatments.values() for name in one.columns} == set(TREATMENTS)
    kinds = set(columns()["cancer_type"].allowed)
    assert {one.cancer for one in codes.packaged().diagnoses.values()} <= kinds
    assert {kind for one in codes.packaged().treatments.values() for kind in one.cancers} <= kinds
    for listed in (codes.packaged().diagnoses, codes.packaged().comorbidities, codes.packaged().treatments):
        assert all(isinstance(code, str) and code.isdigit() for code in listed)
    assert not set(codes.packaged().diagnoses) & set(codes.packaged().table["not_a_case"])


@pytest.mark.parametrize(
    ("loinc", "text", "value"),
    [
        # Display texts of Synthea's modules of 2019 and of 2025.
        ("21908-9", "Stage 4 (qualifier value)", 4),
        ("21908-9", "American Joint Committee on Cancer stage IIIC (qualifier value)", 3),
        ("21908-9", "American Joint Committee on Cancer stage IIA (qualifier value)", 2),
        ("21908-9", "American Joint Committee on Cancer stage IB (qualifier value)", 1),
        ("21905-5", "T0 category (finding)", 0),
        ("21905-5", "American Joint Committee on Cancer cT4 (qualifier value)", 4),
        ("21906-3", "American Joint Committee on Cancer cN3 (qualifier value)", 3),
        ("21907-1", "M1 category (finding)", 1),
        ("85319-2", "Positive (qualifier value)", True),
        ("85318-4", "less than 1.8", False),
        ("72166-2", "Never smoker", "never"),
        ("72166-2", "Never smoked tobacco (finding)", "never"),
        ("72166-2", "Former smoker", "ever"),
        ("72166-2", "Smokes tobacco daily (finding)", "ever"),
        ("88040-1", "Worsening (qualifier value)", False),
    ],
)
def test_display_texts_are_understood(loinc: str, text: str, value: object) -> None:
    assert codes.packaged().observations[loinc].interpret("", text, "") == codes.Interpretation(True, value)  # type: ignore[arg-type]


def test_units_are_converted() -> None:
    assert codes.packaged().observations["33728-7"].interpret("", "25", "mm").value == pytest.approx(2.5)
    assert codes.packaged().observations["33756-8"].interpret("", "1.2", "cm").value == pytest.approx(12.0)
    assert not codes.packaged().observations["33728-7"].interpret("", "25", "inch").understood


def test_causes_of_death() -> None:
    assert codes.packaged().died_of("colorectal", "Overlapping malignant neoplasm of colon")
    assert codes.packaged().died_of("male_breast", "254837009")
    assert not codes.packaged().died_of("breast", "Malignant neoplasm of colon")
    assert not codes.packaged().died_of("lung", "Pneumonia of left lung")


Change = Callable[[pd.DataFrame], pd.DataFrame]


def put(column: str, row: int, value: object) -> Change:
    return lambda frame: frame.astype({column: object}).assign(
        **{column: [value if at == row else old for at, old in enumerate(frame[column].astype(object))]}
    )


BREACHES: dict[str, tuple[Change, list[str]]] = {
    "no rows": (lambda t: t.iloc[:0], ["no rows"]),
    "no event": (lambda t: t.drop(columns="event"), ["no column 'event'", "every row needs"]),
    "typo": (lambda t: t.rename(columns={"bmi": "bmy"}), ["'bmy' is not a column", "Did you mean 'bmi'?", "tabular"]),
    "twice": (lambda t: pd.concat([t, t[["bmi"]]], axis=1), ["'bmi' occurs twice"]),
    "event without time": (put("time_years", 3, None), ["'time_years'", "row 3 (patient p03)", "empty", "above 0"]),
    "time zero": (put("time_years", 3, 0.0), ["'time_years'", "row 3", ": 0.0;", "above 0 up to 120 years"]),
    "time negative": (put("time_years", 5, -1.0), ["'time_years'", "row 5", "-1.0"]),
    "time infinite": (put("time_years", 5, np.inf), ["'time_years'", "row 5", "inf"]),
    "age of 150": (put("age_at_dx", 2, 150.0), ["'age_at_dx'", "row 2", "150", "0 to 120 years"]),
    "age as text": (put("age_at_dx", 2, "50"), ["'age_at_dx'", "row 2", "'50'"]),
    "age true": (put("age_at_dx", 2, True), ["'age_at_dx'", "row 2", "True"]),
    "cancer of the liver": (put("cancer_type", 1, "liver"), ["'cancer_type'", "row 1", "'liver'", "melanoma"]),
    "stage 5": (put("stage", 7, 5), ["'stage'", "row 7", "5", "whole numbers 1 to 4"]),
    "stage 1.5": (put("stage", 7, 1.5), ["'stage'", "row 7", "1.5"]),
    "flag of numbers": (put("er", 0, 1), ["'er'", "row 0", "true or false"]),
    "event missing": (put("event", 0, None), ["'event'", "row 0", "empty"]),
    "patient with a byte 0": (put("patient_id", 4, "p\0"), ["'patient_id'", "row 4", "without a byte 0"]),
    "patient empty": (put("patient_id", 4, ""), ["'patient_id'", "row 4", "''"]),
    "date": (put("dx_date", 4, "31/12/2010"), ["'dx_date'", "row 4", "'31/12/2010'", "a day"]),
    "date a number": (lambda t: t.assign(dx_date=2010), ["'dx_date'", "row 0", "2010"]),
    "duplicate": (lambda t: t.assign(patient_id="p", cancer_type="lung"), ["row 1", "(39 such rows)", "one row"]),
    "cause of the living": (put("death_cause_cancer", 0, True), ["'death_cause_cancer'", "row 0", "empty where event"]),
    "treatment without a day": (put("tx_surgery_days", 2, None), ["'tx_surgery_days'", "row 2", "if and only if"]),
    "day without treatment": (put("tx_chemo_days", 2, 5.0), ["'tx_chemo_days'", "row 2", "tx_chemo is true"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BREACHES)
def test_breaches_are_refused_with_row_and_column(case: str) -> None:
    change, words = BREACHES[case]
    with pytest.raises(Refused) as refusal:
        conform(change(clinical_table()), "mine.parquet")
    assert "mine.parquet" in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_a_file_keeps_every_cell_and_type(tmp_path: Path) -> None:
    made = clinical_table(smoking=["never", None] * 20, psa=np.linspace(0, 5, PATIENTS))
    write(made, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "x.parquet"), made)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("patient,event\n")
    with pytest.raises(Refused, match=r"x\.parquet: not readable as Parquet.*cohort import"):
        read(tmp_path / "x.parquet")
    pd.DataFrame({"age": [1]}).to_parquet(tmp_path / "y.parquet")
    with pytest.raises(Refused, match=r"y\.parquet: column 'age' is not a column of the clinical table"):
        read(tmp_path / "y.parquet")


@given(st.floats(0.01, 12), st.booleans())
def test_mortality_at_five_years_is_known_of_the_dead_and_of_those_followed(years: float, died: bool) -> None:
    """Beside a patient of the same day who is followed for long, so that everybody could have been."""
    two = clinical_table().iloc[:2].assign(time_years=[years, 13.0], event=[died, False])
    two["dx_date"] = two["dx_date"].iloc[0]
    label = labels(two)["mortality_5y"].iloc[0]
    if years <= 5 and died:
        assert label is np.True_ or label is True
    elif years >= 5:
        assert not label
    else:
        assert label is pd.NA


def test_an_early_death_says_nothing_where_nobody_could_be_followed_for_five_years() -> None:
    """To keep the dead alone would be to select on the outcome."""
    assert labels(clinical_table().iloc[:1].assign(time_years=1.0, event=True))["mortality_5y"].isna().all()


def test_the_last_day_of_the_fifth_year() -> None:
    made = labels(clinical_table().iloc[:2].assign(time_years=5.0, event=[True, False]))
    assert made["mortality_5y"].tolist() == [True, False]


def test_late_stage_is_three_or_four_and_unknown_if_the_stage_is() -> None:
    made = clinical_table(stage=[1, 2, 3, 4, None] * 8)
    assert labels(made)["stage_late"].iloc[:5].tolist() == [False, False, True, True, pd.NA]


# ------------------------------------------------------------------------------------------------------- the cohort


def test_outcomes_and_predictors_at_diagnosis(tmp_path: Path) -> None:
    made = cohort(tmp_path)
    assert set(made.outcomes) == {
        "survival",
        "stage",
        "stage_late",
        "cancer_type",
    }  # nobody is followed for five years, so none is known alive
    known = {"cancer_type", "age_years", "stage", "t", "er", "com_copd"}
    assert set(made.predictors["survival"]) == known
    assert set(made.predictors["stage_late"]) == known - {"stage", "t"}  # T gives the stage away
    assert made.table["time_days"].iloc[0] == pytest.approx(DAYS_PER_YEAR / 12)
    assert made.table["site"].value_counts().to_dict() == {"south": 26, "north": 14}
    assert made.notes["left out"] == "none"


def test_no_outcome_and_no_treatment_ever_predicts_at_diagnosis(tmp_path: Path) -> None:
    made = cohort(
        tmp_path, clinical_table(response=np.arange(PATIENTS) % 2 == 0, recurrence=np.arange(PATIENTS) % 3 == 0)
    )
    assert set(made.outcomes) == {"survival", "response", "stage", "stage_late", "recurrence", "cancer_type"}
    forbidden = {
        *columns_with_role("outcome"),
        *columns_with_role("treatment"),
        *columns_with_role("key"),
        *columns_with_role("place"),
        "mortality_5y",
        "stage_late",
    }
    for used in made.predictors.values():
        assert not forbidden & (set(used) - {"cancer_type"})


def test_a_landmark_moves_the_clock_and_knows_only_what_was_begun(tmp_path: Path) -> None:
    made = cohort(tmp_path, treatments=Treatments.landmark, landmark_months=6.0)
    # Patient i is followed for i + 1 months: those of months 1 to 6 are not at risk at the landmark.
    assert made.table["patient"].tolist() == [f"p{i:02d}" for i in range(6, PATIENTS)]
    assert made.table["time_days"].iloc[0] == pytest.approx(DAYS_PER_YEAR / 12)
    assert made.notes["left out"] == "6 dead or lost by 6 months"
    # Even patients are operated on day 10 i; the landmark is day 182.6.
    begun = made.table.set_index("patient")["tx_surgery"]
    assert begun[begun == 1].index.tolist() == [f"p{i:02d}" for i in range(6, 19, 2)]
    assert "tx_surgery" in made.predictors["survival"]
    assert "tx_surgery" not in made.predictors["stage_late"]


def test_what_happens_after_the_landmark_cannot_be_seen_before_it(tmp_path: Path) -> None:
    """Immortal time: a treatment given to those who live long must not tell that they live long."""
    late = np.where(np.arange(PATIENTS) % 2 == 0, 200.0 + np.arange(PATIENTS), np.nan)
    made = cohort(tmp_path, clinical_table(tx_surgery_days=late), treatments=Treatments.landmark)
    assert "tx_surgery" not in made.predictors["survival"]  # nobody had it by then: it is the same for all


def test_children_and_other_cancers_are_left_out(tmp_path: Path) -> None:
    age = np.where(np.arange(PATIENTS) < 4, 10.0, 50.0 + np.arange(PATIENTS) / 10)
    made = cohort(tmp_path, clinical_table(age_at_dx=age), cancers=["breast"])
    assert len(made.table) == 18
    assert made.notes["left out"] == "20 of other cancers, 2 younger than 18"
    assert "cancer_type" not in made.predictors["survival"]
    with pytest.raises(Refused, match=r"cohort\.cancers='lung': allowed breast, colorectal"):
        cohort(tmp_path, cancers=["lung"])
    with pytest.raises(Refused, match=r"none of 40 rows is kept \(40 younger than 99\)"):
        cohort(tmp_path, min_age=99.0)


def test_a_patient_with_two_cancers_stays_at_the_site_of_the_first(tmp_path: Path) -> None:
    two = clinical_table()
    two["patient_id"] = [f"p{i // 2:02d}" for i in range(PATIENTS)]
    two["cancer_type"] = pd.Categorical(["lung", "breast"] * 20, categories=columns()["cancer_type"].allowed)
    made = cohort(tmp_path, two)
    assert made.table.groupby("patient")["site"].nunique().eq(1).all()
    assert made.table["site"].iloc[0] == two["facility_id"].iloc[0]  # the younger row


def test_a_site_that_is_not_recorded_is_refused_with_the_others(tmp_path: Path) -> None:
    gappy = clinical_table(facility_id=["north", None] * 20)
    with pytest.raises(Refused, match=r"'p01' has no facility_id \(20 of 40 rows\).*cohort\.site=county"):
        cohort(tmp_path, gappy)
    assert set(cohort(tmp_path, gappy, site=Site.county).table["site"]) == {"Essex"}
    assert set(cohort(tmp_path, gappy, site=Site.one).table["site"]) == {"all"}


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"Name cohort\.file"):
        experiment(["cohort=clinical"])
    with pytest.raises(Refused, match=r"cohort\.landmark_months=0"):
        Clinical(file="x", landmark_months=0)
    with pytest.raises(Refused, match=r"cohort\.cancers\[0\]='beast'.*Did you mean 'breast'"):
        Clinical(file="x", cancers=["beast"])
    with pytest.raises(Refused, match=r"nowhere\.parquet: no such file.*cohort\.file"):
        Clinical(file="nowhere.parquet").load(0)
    with pytest.raises(Refused, match="none of 20 patients died, and no label"):
        cohort(tmp_path, clinical_table(event=False, stage=None, t=None), cancers=["breast"])


# ----------------------------------------------------------------------------- an outcome that is not known of all


def test_a_task_learns_from_those_of_whom_the_outcome_is_known(tmp_path: Path) -> None:
    made = clinical_table(time_years=np.linspace(0.5, 9.5, PATIENTS))  # even ones live: known from year 5 on
    write(made, tmp_path / "x.parquet")
    known = labels(made)["mortality_5y"].notna()
    words = ["cohort=clinical", f"cohort.dir={tmp_path}", "cohort.file=x.parquet", "partition=natural"]
    ready = prepare(experiment([*words, "task=classify", "task.outcome=mortality_5y"]))
    assert len(ready.federation.x) == known.sum() < PATIENTS
    assert set(ready.cohort.table["patient"]) == set(made["patient_id"][known])
    assert len(prepare(experiment([*words, "task=hazard", "task.bins=2"])).federation.x) == PATIENTS


def test_unknown_labels_never_reach_a_federation() -> None:
    frame = pd.DataFrame(
        {
            "patient": ["a", "b", "c", "d"],
            "site": "s",
            "x": [1.0, 2.0, np.nan, 4.0],
            "y": pd.array([True, None, False, True], dtype="boolean"),
        }
    )
    whole = Cohort("toy", frame, {"y": Binary("y")}, {"y": ("x",)}, truth=pd.DataFrame({"y": [0.1, 0.2, 0.3, 0.4]}))
    assert whole.events("y").tolist() == [True, False, False, True]
    about = whole.where_known("y")
    assert about.table["patient"].tolist() == ["a", "c", "d"]
    assert about.truth is not None
    assert about.truth["y"].tolist() == [0.1, 0.3, 0.4]
    assert about.where_known("y") is about
    sites = Natural().assign(about, "y", 0)
    assert sorted(federated(about, "y", sites, Split(), 0).y["label"].tolist()) == [False, True, True]
    with pytest.raises(Refused, match="Leave it out"):
        replace(whole, table=frame.assign(y=pd.array([None] * 4, dtype="boolean")))
    with pytest.raises(Refused, match="is True in all 2 rows"):
        replace(whole, table=frame.assign(y=pd.array([True, None, None, True], dtype="boolean")))
