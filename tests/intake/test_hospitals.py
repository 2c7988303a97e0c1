"""Import of FHIR as hospitals write it: partial days, planned visits, components, doubts, other units and releases."""

import copy
import json
import shlex
from collections import Counter
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sim.checks import Refused
from sim.cli.main import app
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.intake.assemble import Assembled, assemble
from sim.intake.bundles import BundleFolder
from sim.intake.fhir import read
from sim.intake.options import FollowUp
from sim.intake.reading import Reading
from sim.intake.rules import Rules
from sim.intake.summary import summary_lines
from tests.intake.hospital import (
    END,
    LOINC,
    SNOMED,
    Json,
    bundle,
    concept,
    observation,
    people,
    quantity,
    resource,
    visit,
)

STAGE_4 = {"coding": [{"system": SNOMED, "code": "258228008"}], "text": "Stage 4"}


def given(folder: Path, *more: Json, whole: list[Json] | None = None) -> Path:
    """A folder with one bundle: the people, or others, and more resources."""
    folder.mkdir(exist_ok=True)
    (folder / "b.json").write_text(json.dumps(bundle([*(people() if whole is None else whole), *more])))
    return folder


def imported(folder: Path, rules: Rules | None = None) -> tuple[Reading, Assembled, pd.DataFrame]:
    reading = read(BundleFolder(folder), rules or Rules(), lambda done: None)
    made = assemble(reading, FollowUp.export)
    return reading, made, made.table.set_index("patient_id")


def table(folder: Path) -> pd.DataFrame:
    return imported(folder)[2]


def changed(key: str, **more: object) -> list[Json]:
    """The people with fields of one resource replaced; None takes a field away."""
    whole = copy.deepcopy(people())
    one = next(one for one in whole if one["id"] == key)
    one.update(more)
    for name in [name for name, value in more.items() if value is None]:
        del one[name]
    return whole


# ------------------------------------------------------------------------------------------------------------- days


def test_a_year_alone_is_its_middle_and_what_was_recorded_in_it_counts(tmp_path: Path) -> None:
    drug = resource(
        "MedicationRequest", "m", "ana", authoredOn="2015-06-01", medicationCodeableConcept=concept("583214")
    )
    more = [observation("ana", "21908-9", "2015-03-12", valueCodeableConcept=STAGE_4), drug]
    reading, made, rows = imported(
        given(tmp_path / "x", *more, whole=changed("c-ana", onsetDateTime="2015", recordedDate="2019-03-03"))
    )
    ana = rows.loc["ana"]
    assert ana["dx_date"].date() == date(2015, 7, 1)
    assert ana["time_years"] == pytest.approx((END - date(2015, 7, 1)).days / DAYS_PER_YEAR)
    assert ana["stage"] == 4
    assert bool(ana["tx_chemo"])
    assert ana["tx_chemo_days"] == 0
    assert "Diagnoses with only a year or a month, of which the middle is used: 1." in summary_lines(
        reading, made, FollowUp.export
    )


@pytest.mark.parametrize(
    ("onset", "recorded", "taken"),
    [
        ("2015-04", None, date(2015, 4, 15)),
        ("2015", "2015-03-03", date(2015, 3, 3)),  # recorded in the year of the onset
        (None, "2015-03", date(2015, 3, 15)),
        ("2015-05-09T23:30:00-04:00", "2019-01-01", date(2015, 5, 9)),  # the day as written
    ],
)
def test_onset(onset: str | None, recorded: str | None, taken: date, tmp_path: Path) -> None:
    whole = changed("c-ana", onsetDateTime=onset, recordedDate=recorded)
    assert table(given(tmp_path / "x", whole=whole)).loc["ana", "dx_date"].date() == taken


def test_one_who_died_in_the_year_of_the_diagnosis(tmp_path: Path) -> None:
    whole = changed("c-bea", onsetDateTime="2017")
    whole[1]["deceasedDateTime"] = "2017-03-03"
    assert table(given(tmp_path / "x", whole=whole)).loc["bea", "time_years"] == pytest.approx(0.5 / DAYS_PER_YEAR)


def test_a_partial_day_of_an_observation_is_its_middle(tmp_path: Path) -> None:
    late = observation("ana", "39156-5", "2015-06", **quantity(31.0, code="kg/m2"))
    early = observation("ana", "39156-5", "2015-04", **quantity(24.0, code="kg/m2"))
    assert table(given(tmp_path / "x", late, early)).loc["ana", "bmi"] == 24.0


def test_the_year_that_the_export_ends_in_ends_with_it(tmp_path: Path) -> None:
    rules = Rules(until=date(2020, 3, 1).toordinal())
    folder = given(tmp_path / "x", visit("ana", "2020", period={"start": "2020"}))
    assert imported(folder, rules)[0].charts.end == date(2020, 3, 1).toordinal()


@pytest.mark.parametrize("status", ["planned", "cancelled", "entered-in-error"])
def test_a_planned_encounter_is_no_contact(status: str, tmp_path: Path) -> None:
    folder = given(tmp_path / "x", visit("bea", "2031-12-31", status=status))
    lived = (END - date(2015, 5, 10)).days / DAYS_PER_YEAR
    assert table(folder).loc["ana", "time_years"] == pytest.approx(lived)


def test_a_day_after_the_export_is_refused_or_left_out(tmp_path: Path) -> None:
    folder = given(tmp_path / "x", visit("bea", "2099-12-31"))
    with pytest.raises(Refused, match=r"Encounter e-bea-2099-12-31: 2099-12-31 is after .*--until.*--unknown skip"):
        imported(folder)
    skipped: Counter[str] = Counter()
    rows = imported(folder, Rules(skipped))[2]
    assert rows.loc["ana", "time_years"] == pytest.approx((END - date(2015, 5, 10)).days / DAYS_PER_YEAR)
    assert dict(skipped) == {"days after the export's end": 1}


# ----------------------------------------------------------------------------------------------------------- records


def treated(patient: str) -> list[Json]:
    return [
        resource(
            "MedicationRequest", f"m-{patient}", patient, authoredOn="2015-06-01",
            medicationCodeableConcept=concept("583214", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        ),
        resource("Procedure", f"p-{patient}", patient, performedDateTime="2015-05-20", code=concept("392021009")),
    ]  # fmt: skip


def test_an_encounter_is_a_record(tmp_path: Path) -> None:
    """The first observation is two days after the diagnosis; the records had begun with the visit."""
    row = table(given(tmp_path / "x", observation("ana", "9-9"), *treated("ana"))).loc["ana"]
    assert (row["tx_surgery_days"], row["tx_chemo_days"]) == (10, 22)
    assert not row["tx_radiation"]


def test_without_observations_the_drugs_are_kept(tmp_path: Path) -> None:
    _, made, rows = imported(given(tmp_path / "x", treated("ana")[0]))
    assert bool(rows.loc["ana", "tx_chemo"])
    reasons = " ".join(reason for counts in made.gaps.values() for reason in counts)
    assert "before the records begin" not in reasons
    assert dict(made.gaps["bmi"]) == {"no Observation": 3}


def test_records_that_begin_later_keep_what_they_have(tmp_path: Path) -> None:
    whole = [one for one in people() if not one["id"].endswith("ana-2015-05-10")]
    _, made, rows = imported(given(tmp_path / "x", *treated("ana"), whole=whole))
    assert rows.loc["ana", "tx_chemo_days"] == 22
    assert pd.isna(rows.loc["ana", "tx_radiation"])
    assert made.gaps["tx_radiation"]["before the records begin"] == 1
    assert made.truncated == 1


# ----------------------------------------------------------------------------------------------------------- answers


def psa(tmp_path: Path, **more: object) -> float:
    found: float = table(given(tmp_path / "x", observation("carl", "2857-1", "2015-05-01", **more))).loc["carl", "psa"]
    return found


def test_the_code_is_the_unit(tmp_path: Path) -> None:
    assert psa(tmp_path, **quantity(5.2, unit="nanogram per milliliter", code="ng/mL")) == 5.2
    assert psa(tmp_path, **quantity(5.2, unit="ng/ml", code="ng/ml")) == 5.2
    with pytest.raises(Refused, match=r"'5.2 \[IU\]/mL' is no psa; allowed a number in ng/mL"):
        psa(tmp_path, **quantity(5.2, unit="ng/mL", code="[IU]/mL"))


@pytest.mark.parametrize("comparator", ["<", ">=", "ad"])
def test_a_comparator_is_no_measurement(comparator: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"'{comparator} 0.1 ng/mL' is no psa.*--unknown skip"):
        psa(tmp_path, **quantity(0.1, comparator=comparator, code="ng/mL"))


def test_a_value_said_to_be_absent_is_a_gap(tmp_path: Path) -> None:
    reason = concept("unknown", "http://terminology.hl7.org/CodeSystem/data-absent-reason")
    for absent in (
        {"dataAbsentReason": reason},
        {"valueCodeableConcept": reason},
        {"valueQuantity": {"code": "ng/mL"}},
    ):
        assert pd.isna(psa(tmp_path, **absent))


def test_a_value_of_a_kind_that_is_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'valueRatio' is no psa"):
        psa(tmp_path, valueRatio={"numerator": {"value": 1}})


@pytest.mark.parametrize("digits", [400, 4000, 5000])
def test_a_number_of_thousands_of_digits_is_refused(digits: int, tmp_path: Path) -> None:
    folder = given(tmp_path / "x", observation("carl", "2857-1", "2015-05-01", **quantity(123456.0, code="ng/mL")))
    text = (folder / "b.json").read_text()
    (folder / "b.json").write_text(text.replace("123456.0", "9" * digits))
    with pytest.raises(Refused) as refusal:
        imported(folder)
    assert len(str(refusal.value)) < 500


def test_answers_in_components(tmp_path: Path) -> None:
    panel = observation(
        "ana", "21902-2", component=[{"code": concept("21908-9", LOINC), "valueCodeableConcept": STAGE_4}]
    )
    assert table(given(tmp_path / "x", panel)).loc["ana", "stage"] == 4


@pytest.mark.parametrize(
    ("summary", "stage"),
    [
        (STAGE_4, 4),
        (concept("3C", "http://cancerstaging.org"), 3),
        (concept("IIIC", "http://cancerstaging.org"), 3),
        (concept("pIA2", "http://cancerstaging.org"), 1),
        ({"text": "IIB"}, 2),
        ({"text": "AJCC stage IV"}, 4),
    ],
)
def test_the_stage_of_the_condition_itself(summary: Json, stage: int, tmp_path: Path) -> None:
    whole = changed("c-ana", stage=[{"summary": summary}])
    assert table(given(tmp_path / "x", whole=whole)).loc["ana", "stage"] == stage


def test_stages_that_say_nothing_or_something_else(tmp_path: Path) -> None:
    t = {"type": concept("21905-5", LOINC), "summary": {"text": "T2"}}
    for stages in ([{"summary": {"text": "X"}}], [t], [{"type": concept("x")}]):
        assert pd.isna(table(given(tmp_path / "x", whole=changed("c-ana", stage=stages))).loc["ana", "stage"])
    with pytest.raises(Refused, match="Condition c-ana, stage: 'Dukes B' is no stage"):
        table(given(tmp_path / "x", whole=changed("c-ana", stage=[{"summary": {"text": "Dukes B"}}])))


# ------------------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize("status", ["provisional", "differential", "unconfirmed"])
def test_a_doubtful_diagnosis_is_no_case_and_is_told(status: str, tmp_path: Path) -> None:
    whole = changed("c-ana", verificationStatus=concept(status, "v"))
    reading, made, rows = imported(given(tmp_path / "x", whole=whole))
    assert "ana" not in rows.index
    assert f"Not imported, because not confirmed: {status} (1)." in summary_lines(reading, made, FollowUp.export)


def test_a_second_coding_of_an_imported_cancer_is_not_told_as_left_out(tmp_path: Path) -> None:
    icd = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C50.911", "display": "Malignant neoplasm of breast"}
    coded = {"coding": [icd, *concept("254837009")["coding"]]}
    reading, _, rows = imported(given(tmp_path / "x", whole=changed("c-ana", code=coded)))
    assert "ana" in rows.index
    assert not reading.unlisted


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"subject": None, "patient": {"reference": "Patient/ana"}}, "FHIR DSTU2"),
        ({"verificationStatus": "confirmed"}, "FHIR DSTU2 or STU3"),
        ({"assertedDate": "2015-05-10"}, "FHIR STU3"),
        ({"subject": {"reference": "#px"}}, "its Patient '#px' is contained in it"),
    ],
)
def test_what_cannot_be_read_is_named(more: Json, words: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=words):
        imported(given(tmp_path / "x", whole=changed("c-ana", **more)))


# ------------------------------------------------------------------------------------------------------------ files


def test_a_bundle_in_a_bundle(tmp_path: Path) -> None:
    inner = {"resourceType": "Bundle", "id": "i", **bundle([one for one in people() if "ana" in json.dumps(one)])}
    others = [one for one in people() if "ana" not in json.dumps(one)]
    assert set(table(given(tmp_path / "x", inner, whole=others)).index) == {"ana", "bea", "carl"}


def test_entries_without_a_resource(tmp_path: Path) -> None:
    folder = given(tmp_path / "x")
    body = json.loads((folder / "b.json").read_text())
    body["entry"] += [{"request": {"method": "DELETE", "url": "Patient/x"}}, {"response": {"status": "204"}}]
    (folder / "b.json").write_text(json.dumps(body))
    assert len(table(folder)) == 3


@pytest.mark.parametrize("indent", [None, 1])
def test_several_texts_in_one_json_file(indent: int | None, tmp_path: Path) -> None:
    text = "\n".join(json.dumps(one, indent=indent) for one in people())
    (tmp_path / "all.json").write_text(text)
    assert len(table(tmp_path)) == 3
    (tmp_path / "all.json").write_text(text + "\n{oops\n")
    with pytest.raises(Refused, match=rf"all.json, line {text.count(chr(10)) + 2}, column 2: not JSON"):
        table(tmp_path)


def test_files_that_macos_leaves_are_passed_over(tmp_path: Path) -> None:
    folder = given(tmp_path / "x")
    (folder / "._b.json").write_bytes(b"\0\5\x16\7")
    assert len(table(folder)) == 3


def test_references_by_id_where_the_bundle_has_urns(tmp_path: Path) -> None:
    body = bundle(people())
    for number, entry in enumerate(body["entry"]):
        entry["fullUrl"] = f"urn:uuid:11111111-1111-4111-8111-{number:012d}"
    body["entry"][3]["resource"]["subject"] = {"reference": body["entry"][0]["fullUrl"]}  # both ways may be mixed
    (tmp_path / "b.json").write_text(json.dumps(body))
    rows = table(tmp_path)
    assert len(rows) == 3
    assert rows["time_years"].max() == pytest.approx((END - date(2015, 5, 10)).days / DAYS_PER_YEAR)


# ------------------------------------------------------------------------------------------------------ odd patients


@pytest.mark.parametrize(
    ("key", "more", "reason"),
    [
        ("bea", {"birthDate": None}, "patients without birthDate"),
        ("bea", {"deceasedDateTime": None, "deceasedBoolean": True}, "patients without a day of death"),
        ("bea", {"deceasedDateTime": "2017"}, "patients without a day of death"),
        ("bea", {"birthDate": "2016-01-01"}, "patients diagnosed before their birth"),
        ("bea", {"birthDate": "1880-01-01"}, "patients older than 120 years"),
        ("bea", {"deceasedDateTime": "2014-01-01"}, "patients who died before the diagnosis"),
        ("bea", {"birthDate": "02.03.1951"}, "Patient not in the form of FHIR R4"),
        ("bea", {"deceasedDateTime": "2099-01-01"}, "days after the export's end"),
        ("c-bea", {"onsetDateTime": None}, "diagnoses without a day"),
        ("c-bea", {"subject": None}, "diagnoses without subject"),
        ("c-bea", {"subject": {"reference": "Patient/nobody"}}, "diagnoses of patients without a record"),
        ("c-bea", {"subject": {"reference": "#px"}}, "diagnoses whose patient is contained in them"),
        ("c-bea", {"onsetDateTime": "2099-01-01"}, "days after the export's end"),
        ("c-bea", {"clinicalStatus": "active"}, "Conditions of FHIR DSTU2 or STU3"),
        ("c-bea", {"stage": 5}, "Condition not in the form of FHIR R4"),
    ],
)  # fmt: skip
def test_one_odd_patient_stops_nothing(key: str, more: Json, reason: str, tmp_path: Path) -> None:
    folder = given(tmp_path / "x", whole=changed(key, **more))
    with pytest.raises(Refused, match="--unknown skip"):
        imported(folder)
    skipped: Counter[str] = Counter()
    rows = imported(folder, Rules(skipped))[2]
    assert set(rows.index) == {"ana", "carl"}
    assert dict(skipped) == {reason: 1}


def test_an_import_in_which_everyone_is_odd_is_refused(tmp_path: Path) -> None:
    whole = [one | {"birthDate": ""} if one["resourceType"] == "Patient" else one for one in people()]
    with pytest.raises(Refused, match=r"none with a cancer.*Left out: patients without birthDate \(3\)"):
        imported(given(tmp_path / "x", whole=whole), Rules(Counter()))


# ------------------------------------------------------------------------------------------------------ next command


def command(*words: str) -> str:
    done = CliRunner().invoke(app, ["cohort", *words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("out", ["x.parquet", "with blank, é.parquet", "q'uo\"te=(1).parquet"])
def test_the_next_command_is_not_refused(out: str, elsewhere: Path) -> None:
    printed = command("import", "fhir", str(given(elsewhere / "x")), "--out", out)
    line = next(line for line in printed.splitlines() if line.startswith("Next: "))
    words = shlex.split(line.removeprefix("Next: fedtrial cohort "))
    assert words[-1] == "cohort.site=one"  # no facility is recorded
    assert "3 rows" in command(*words)


def test_a_table_that_is_no_cohort_is_told_why(elsewhere: Path) -> None:
    alive = [one for one in changed("bea", deceasedDateTime=None) if one["id"] != "c-carl"]
    folder = given(elsewhere / "x", whole=alive)
    printed = command("import", "fhir", str(folder), "--out", "x.parquet")
    assert "Next:" not in printed
    assert "Not a cohort yet: x.parquet: none of 2 patients died" in printed
