"""Import by a map of codes of the user's own, on top of the packaged one."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sim.checks import Refused
from sim.cli.main import app
from sim.cohort.clinical.codes import find
from sim.cohort.clinical.conform import read
from sim.intake.own_codes import with_own_codes
from tests.intake.hospital import bundle, concept, condition, observation, quantity, resource, visit
from tests.toy import ROOT

OWN = """
diagnoses:
  'C50*': {cancer: breast}
  'C56': {cancer: ovary, stage: 3}
  372137005: {cancer: breast}
not_a_case: ['C50.Z*']
comorbidities:
  com_diabetes: ['E11*']
treatments:
  - {columns: [chemo], codes: ['8-54*'], cancers: [breast]}
observations:
  stage: {codes: ['tnm-stage'], answers: {S3: 3, SX: null}}
  psa: {codes: ['local-psa'], units: {nmol/L: 34.5}}
"""
ICD = "http://hl7.org/fhir/sid/icd-10"


def written(folder: Path, text: str) -> Path:
    (folder / "own.yaml").write_text(text)
    return folder / "own.yaml"


def command(folder: Path, *more: str) -> str:
    words = ["cohort", "import", "fhir", str(folder / "x"), "--out", str(folder / "x.parquet"), *more]
    done = CliRunner().invoke(app, words)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def export(folder: Path) -> None:
    """Three patients as a hospital codes them."""
    people = [resource("Patient", name, gender="female", birthDate="1950-03-01") for name in ("ana", "eva", "zoe")]
    people += [
        condition("ana", code=concept("C50.911", ICD)),
        condition("eva", code=concept("C56", ICD)),
        condition("zoe", code=concept("C50.Z9", ICD, display="Malignant neoplasm of breast, told by nobody")),
        resource("Condition", "d", "ana", code=concept("E11.9", ICD), onsetDateTime="2010-01-01"),
        *(visit(name, "2015-05-10") for name in ("ana", "eva", "zoe")),
        visit("ana", "2019-01-01"),
        observation("ana", "tnm-stage", valueCodeableConcept=concept("S3", "local")),
        observation("ana", "local-psa", "2015-05-01", **quantity(2.0, code="nmol/L")),
        resource("Procedure", "p", "ana", performedDateTime="2015-06-01", code=concept("8-542.11", "ops")),
        resource("Procedure", "q", "eva", performedDateTime="2015-06-01", code=concept("8-542.11", "ops")),
    ]
    (folder / "x").mkdir()
    (folder / "x/b.json").write_text(json.dumps(bundle(people)))


def test_a_map_of_ones_own(tmp_path: Path) -> None:
    export(tmp_path)
    with pytest.raises(Refused, match=r"none with a cancer.*--codes FILE \(docs/cohorts.md\)"):
        command(tmp_path)
    printed = command(tmp_path, "--codes", str(written(tmp_path, OWN)))
    assert "3 patients read, 2 with cancer: breast 1, ovary 1." in printed
    assert "sound like a cancer" not in printed
    table = read(tmp_path / "x.parquet").set_index("patient_id")
    ana, eva = table.loc["ana"], table.loc["eva"]
    assert (ana["stage"], ana["psa"], bool(ana["com_diabetes"]), ana["tx_chemo_days"]) == (3, 69.0, True, 22.0)
    assert eva["stage"] == 3
    assert pd.isna(eva["tx_chemo"])  # the code treats breast cancer
    assert "own.yaml (sha256 " in (tmp_path / "x.card.md").read_text()


def test_codes_of_the_package_stay_and_the_longest_beginning_counts(tmp_path: Path) -> None:
    own = with_own_codes(
        written(tmp_path, "diagnoses: {'C*': {cancer: sarcoma}, 'C34*': {cancer: lung}, '254637007': {cancer: breast}}")
    )
    for code, cancer in (("C34.9", "lung"), ("C40", "sarcoma"), ("254637007", "breast"), ("399068003", "prostate")):
        found = find(own.diagnoses, code)
        assert found is not None
        assert found.cancer == cancer
    assert find(own.diagnoses, "D05") is None
    assert own.died_of("lung", "C34.1")
    assert own.died_of("sarcoma", "Sarcoma of bone") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "allowed names with values"),
        ("a: [", "not YAML"),
        ("diagnosis: {}", "Did you mean 'diagnoses'?"),
        ("diagnoses: {C50: breast}", "allowed names with values"),
        ("diagnoses: {C50: {stage: 1}}", "C50: no cancer"),
        ("diagnoses: {C50: {cancer: male_breast}}", "allowed aml, breast"),
        ("diagnoses: {C50: {cancer: breast, stage: 5}}", "5 is no stage; allowed whole numbers 1 to 4"),
        ("diagnoses: {C50: {cancer: breast, grade: 2}}", "allowed cancer, histology, stage"),
        ("diagnoses: {174.90: {cancer: breast}}", "174.9 is not a code. Write codes in quotes"),
        ("diagnoses: {'*': {cancer: breast}}", "'\\*' is not a code"),
        ("{diagnoses: {C50: {cancer: breast}}, not_a_case: [C50]}", "'C50' is also in diagnoses"),
        ("comorbidities: {com_gout: [M10]}", "com_gout"),
        ("comorbidities: {com_ckd: N18}", "allowed a list of codes"),
        ("treatments: {chemo: [X]}", "allowed a list of entries"),
        ("treatments: [{columns: [chem], codes: [X]}]", "Did you mean 'chemo'?"),
        ("treatments: [{columns: [chemo]}]", "entry 1: no codes"),
        ("observations: {ki67: {codes: [X]}}", "ki67"),
        ("observations: {stage: {units: {cm: 1}}}", "units, but this column is not a number"),
        ("observations: {psa: {answers: {x: 1}}}", "answers, but this column is a number"),
        ("observations: {psa: {units: {x: -1}}}", "-1 is not a factor"),
        ("observations: {er: {answers: {x: 1}}}", "1 is no er; allowed true or false, or null"),
    ],
)
def test_a_map_with_an_error_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=words):
        with_own_codes(written(tmp_path, text))


def test_a_map_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--codes .*none.yaml: cannot be read"):
        with_own_codes(tmp_path / "none.yaml")


def test_the_example_of_the_docs_is_a_map(tmp_path: Path) -> None:
    text = (ROOT / "docs/cohorts.md").read_text().split("**Your own codes.**")[1].split("```yaml\n")[1].split("```")[0]
    found = with_own_codes(written(tmp_path, text)).diagnosis("C34.1")
    assert found is not None
    assert found.cancer == "lung"
