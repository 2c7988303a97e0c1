"""Import: what is wrong in an export is refused with file, line and remedy, before anything is written."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sim.checks import Refused
from sim.cli.main import app
from sim.intake.assemble import assemble
from sim.intake.options import FollowUp
from tests.toy import DATA, reading

Change = Callable[[Path], object]


def swap(name: str, old: str, new: str) -> Change:
    """A text of a table replaced, once."""

    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_bytes().decode()
        assert old in text, old
        path.write_bytes(text.replace(old, new, 1).encode())

    return change


def cut(name: str) -> Change:
    """A gzip file that ends too early."""

    def change(folder: Path) -> None:
        packed = gzip.compress((folder / f"{name}.csv").read_bytes())
        (folder / f"{name}.csv").unlink()
        (folder / f"{name}.csv.gz").write_bytes(packed[: len(packed) // 2])

    return change


def header_only(name: str) -> Change:
    return lambda folder: (folder / name).write_text((folder / name).read_text().splitlines()[0] + "\n")


def swap_all(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def again(folder: Path) -> None:
    path = folder / "patients.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[3] + "\n")


def deeper(folder: Path) -> None:
    """Everything one folder down, in a folder of the same name."""
    folder.rename(folder.parent / "all")
    folder.mkdir()
    (folder.parent / "all").rename(folder / "csv")


def latin1(folder: Path) -> None:
    path = folder / "patients.csv"
    path.write_bytes(path.read_bytes().replace(b"Essex County", "Comté d'Essex".encode("latin-1"), 1))


CSV: dict[str, tuple[Change, list[str]]] = {
    "no folder": (shutil.rmtree, ["no such folder", "patients.csv"]),
    "no patients": (lambda f: (f / "patients.csv").unlink(), ["no patients.csv or patients.csv.gz", "export"]),
    "no conditions": (lambda folder: (folder / "conditions.csv").unlink(), ["no conditions.csv"]),
    "one folder down": (deeper, ["There is one in", "csv/csv: name that folder"]),
    "bundles": (
        lambda folder: ((folder / "patients.csv").unlink(), (folder / "p.json").write_text("{}")),
        ["cohort import fhir"],
    ),
    "twice the same table": (
        lambda folder: shutil.copy(folder / "patients.csv", folder / "patients.csv.gz"),
        ["patients.csv and patients.csv.gz are the same table", "Keep one"],
    ),
    "wrong column": (
        swap("observations.csv", "CODE,", "KODE,"),
        ["observations.csv: no column CODE", "it has DATE", "Did you mean 'KODE'?"],
    ),
    "semicolons": (
        lambda f: (f / "patients.csv").write_text((f / "patients.csv").read_text().replace(",", ";")),
        ["no column ID", "separated by commas"],
    ),
    "duplicate patient": (again, ["patients.csv, line 22: the same patient as in line 4", "Keep one row per patient"]),
    "patient missing": (
        swap("patients.csv", "p03,", "p93,"),
        ["conditions.csv, line 5: patient 'p03' is not in patients.csv", "one export"],
    ),
    "death before diagnosis": (
        swap("patients.csv", "2013-03-01", "2011-03-01"),
        ["patients.csv, line 3: death on 2011-03-01, before the diagnosis on 2012-01-15", "conditions.csv, line 4"],
    ),
    "diagnosis before birth": (
        swap("patients.csv", "1948-07-15", "2013-01-01"),
        ["conditions.csv, line 4: diagnosis on 2012-01-15, before the birth on 2013-01-01", "patients.csv, line 3"],
    ),
    "no birth": (swap("patients.csv", "1948-07-15", ""), ["patients.csv, line 3: no BIRTHDATE", "Fill it in"]),
    "diagnosis without a day": (
        swap("conditions.csv", "2012-01-15,,p02", ",,p02"),
        ["conditions.csv, line 4: a diagnosis (254837009) without START"],
    ),
    "date of a spreadsheet": (
        swap("conditions.csv", "2012-01-15,,p02", "15/01/2012,,p02"),
        ["conditions.csv, line 4", "START", "'15/01/2012' is no day such as 2019-05-31", "spreadsheet"],
    ),
    "impossible date": (
        swap("observations.csv", "2012-01-15T", "2012-02-30T"),
        ["observations.csv, line 16", "'2012-02-30T14:30:00Z' is no day"],
    ),
    "unknown answer": (
        swap("observations.csv", "Stage 4 (qualifier value)", "Stage purple"),
        ["observations.csv, line 20, column VALUE: 'Stage purple' is no stage", "SNOMED", "--unknown skip"],
    ),
    "unknown unit": (
        swap("observations.csv", "5.6,cm", "5.6,inch"),
        ["observations.csv, line 19", "'5.6 inch' is no tumor_size_cm", "cm or mm"],
    ),
    "number out of range": (
        swap("observations.csv", "26.0,kg/m2", "2600,kg/m2"),
        ["observations.csv, line 4", "'2600 kg/m2' is no bmi", "8 to 150 kg/m2"],
    ),
    "unknown gender": (swap("patients.csv", ",F,Bos", ",Q,Bos"), ["line 2, column GENDER: 'Q' is no sex", "male"]),
    "unknown race": (swap("patients.csv", ",black,", ",blue,"), ["line 3, column RACE: 'blue' is no race", "native"]),
    "no rows": (header_only("patients.csv"), ["patients.csv: no rows"]),
    "no conditions at all": (header_only("conditions.csv"), ["20 patients read, none with a cancer", "export more"]),
    "no cancer": (
        swap_all("conditions.csv", "START,PATIENT,CODE,DESCRIPTION\n2016-01-01,p19,363443007,Cancer of ovary\n"),
        ["20 patients read, none with a cancer", "363443007 Cancer of ovary (1)", "-a 40-90"],
    ),
    "empty file": (lambda f: (f / "procedures.csv").write_text(""), ["procedures.csv: empty"]),
    "not UTF-8": (latin1, ["patients.csv, line 4: byte 628 is 0xe9", "not UTF-8", "iconv"]),
    "ragged": (
        swap("procedures.csv", "Lumpectomy of breast (procedure),1,", "Lumpectomy of breast (procedure),1,1,"),
        ["procedures.csv, line 3: 9 cells where the others have 8", "in quotes"],
    ),
    "column twice": (
        swap("observations.csv", "DATE,", "CODE,"),
        ["observations.csv: no column DATE or START", "it has CODE"],
    ),
    "needed column twice": (
        swap("observations.csv", ",DESCRIPTION,", ",CODE,"),
        ["observations.csv, line 1: column CODE occurs twice", "Keep one"],
    ),
    "UTF-16": (
        lambda f: (f / "patients.csv").write_bytes((f / "patients.csv").read_text().encode("utf-16")),
        ["patients.csv, line 1: byte 0 is 0xff", "UTF-16", "iconv -f utf-16"],
    ),
    "byte 0": (
        swap("conditions.csv", ",p02", ",p\x0002"),
        ["conditions.csv, line 4, column PATIENT: 'p\\x0002' holds a byte 0", "crash"],
    ),
    "bytes 0 alone": (lambda f: (f / "observations.csv").write_bytes(b"\0" * 999), ["line 1: byte 0 is 0x00"]),
    "table that is a folder": (
        lambda f: ((f / "observations.csv").unlink(), (f / "observations.csv").mkdir()),
        ["observations.csv: is a folder", "take it away"],
    ),
    "no observations": (header_only("observations.csv"), ["observations.csv: the file has no rows", "remove it"]),
    "header cut off": (swap_all("observations.csv", "DATE,PATIENT,CODE,VALUE"), ["observations.csv: no rows"]),
    "line without end": (
        lambda f: (f / "observations.csv").write_text((f / "observations.csv").read_text() + "y" * (3 << 20)),
        ["observations.csv", "Is there a quote that is never closed?"],
    ),
    "death of no life": (
        swap("patients.csv", "2013-03-01", "9999-03-01"),
        ["patients.csv, line 3, column DEATHDATE: '9999-03-01' is no day", "from 1850 to 2150"],
    ),
    "older than anyone": (
        swap("patients.csv", "1948-07-15", "1858-07-15"),
        ["conditions.csv, line 4: diagnosis on 2012-01-15, more than 120 years after the birth", "line 3"],
    ),
    "truncated gzip": (cut("observations"), ["observations.csv.gz: cannot be read to its end", "Is the copy whole?"]),
    "no gzip": (
        lambda f: (f / "observations.csv").rename(f / "observations.csv.gz"),
        ["observations.csv.gz: cannot be read to its end"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV)
def test_a_damaged_export_is_refused(case: str, tmp_path: Path) -> None:
    change, words = CSV[case]
    folder = tmp_path / "csv"
    shutil.copytree(DATA / "synthea_2020", folder)
    change(folder)
    with pytest.raises(Refused) as refusal:
        assemble(reading(folder), FollowUp.export)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("income", ["inf", "-5", "nan"])
def test_income_has_its_range(income: str, tmp_path: Path) -> None:
    shutil.copytree(DATA / "synthea_2024", tmp_path / "csv")
    swap("patients.csv", ",31000", f",{income}")(tmp_path / "csv")
    with pytest.raises(Refused, match=rf"line 3, column INCOME: '{income}'; allowed 0 to 1000000000 USD"):
        reading(tmp_path / "csv")


def test_income_must_be_a_number(tmp_path: Path) -> None:
    shutil.copytree(DATA / "synthea_2024", tmp_path / "csv")
    swap("patients.csv", ",31000", ",much")(tmp_path / "csv")
    with pytest.raises(Refused, match=r"line 3, column INCOME: 'much' is no number"):
        reading(tmp_path / "csv")


def test_bytes_that_are_not_needed_need_not_be_utf8(tmp_path: Path) -> None:
    """Names of people are never read, so that they do not stand in the way."""
    shutil.copytree(DATA / "synthea_2020", tmp_path / "csv")
    path = tmp_path / "csv/patients.csv"
    path.write_bytes(path.read_bytes().replace(b",Ann,", "Anaïs".encode("latin-1").join([b",", b","])))
    assert reading(tmp_path / "csv").patients == 20


def test_what_is_not_understood_may_be_skipped_and_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    shutil.copytree(DATA / "synthea_2020", folder)
    swap("observations.csv", "Stage 4 (qualifier value)", "Stage purple")(folder)
    swap("patients.csv", ",black,", ",blue,")(folder)
    not_understood: Counter[str] = Counter()
    made = assemble(reading(folder, not_understood), FollowUp.export)
    assert dict(not_understood) == {"stage: Stage purple": 1, "race: blue": 1}
    row = made.table.set_index("patient_id").loc["p02"]
    assert row["race"] == "unknown"
    assert made.table["stage"].isna().sum() == 6


# ------------------------------------------------------------------------------------------------------------- FHIR


def broken_json(folder: Path) -> None:
    text = (folder / "p02.json").read_text()
    (folder / "p02.json").write_text(text[: len(text) // 2])


def edit(name: str, at: Callable[[dict], object]) -> Change:
    """A bundle changed as JSON."""

    def change(folder: Path) -> None:
        body = json.loads((folder / name).read_text())
        at(body)
        (folder / name).write_text(json.dumps(body))

    return change


def other(folder: Path) -> None:
    """A second bundle of p02, who is a man in it."""
    shutil.copy(folder / "p02.json", folder / "q.json")
    edit("q.json", lambda body: patient(body).update(gender="male"))(folder)


def patient(body: dict) -> dict:
    found: dict = body["entry"][0]["resource"]
    return found


def resource(body: dict, kind: str) -> dict:
    found: dict = next(one["resource"] for one in body["entry"] if one["resource"]["resourceType"] == kind)
    return found


FHIR: dict[str, tuple[Change, list[str]]] = {
    "no folder": (shutil.rmtree, ["no such folder", "output/fhir"]),
    "nothing": (lambda f: (shutil.rmtree(f), f.mkdir()), ["no .json or .ndjson file", "exporter.fhir.export"]),
    "tables": (
        lambda f: (shutil.rmtree(f), shutil.copytree(DATA / "synthea_2020", f)),
        ["no .json", "cohort import synthea-csv"],
    ),
    "one folder down": (deeper, ["fhir/csv: name that folder"]),
    "malformed JSON": (broken_json, ["p02.json, line ", "column ", "not JSON", "Is the copy complete?"]),
    "malformed line": (
        lambda f: (f / "Encounter.ndjson").write_text((f / "Encounter.ndjson").read_text() + "{'a': 1}\n"),
        ["Encounter.ndjson, line 13, column 2: not JSON"],
    ),
    "no FHIR": (lambda f: (f / "x.json").write_text('{"hello": 1}'), ["x.json: not a FHIR resource", "resourceType"]),
    "a list": (lambda f: (f / "x.json").write_text("[1]"), ["x.json: not a FHIR resource"]),
    "entry without resource": (
        edit("p01.json", lambda body: body["entry"].append({"fullUrl": "x"})),
        ["p01.json, entry 24: not a resource", "damaged"],
    ),
    "not UTF-8": (
        lambda f: (f / "p01.json").write_bytes((f / "p01.json").read_bytes().replace(b"Suffolk", b"S\xfcffolk", 1)),
        ["p01.json, line 46: byte 724 is 0xfc", "not UTF-8"],
    ),
    "truncated gzip": (
        lambda f: (f / "z.json.gz").write_bytes(gzip.compress((f / "p01.json").read_bytes())[:500]),
        ["z.json.gz: cannot be read to its end"],
    ),
    "empty file": (lambda f: (f / "z.json").write_text(""), ["z.json: the file is empty", "remove it"]),
    "empty lines": (lambda f: (f / "z.ndjson").write_text("\n"), ["z.ndjson: the file is empty"]),
    "entry that is no list": (
        lambda f: (f / "z.json").write_text('{"resourceType": "Bundle", "entry": 5}'),
        ["z.json: entry is not a list of resources", "damaged"],
    ),
    "misspelt day": (
        lambda f: (f / "p02.json").write_text((f / "p02.json").read_text().replace('Time": "2012', 'Time": "20l2')),
        ["p02.json, Condition c2", "'20l2-01-15T10:00:00-05:00' is no date such as 2019-05-31"],
    ),
    "birth of no life": (
        edit("p02.json", lambda body: patient(body).update(birthDate="0948-07-15")),
        ["p02.json, Patient p02", "'0948-07-15' is no date from 1850 to 2150"],
    ),
    "event without time": (
        edit("p02.json", lambda body: patient(body).update(deceasedBoolean=True, deceasedDateTime=None)),
        ["p02.json, Patient p02: dead, and no day of death", "deceasedDateTime"],
    ),
    "death in a year": (
        edit("p02.json", lambda body: patient(body).update(deceasedDateTime="2013")),
        ["Patient p02: dead, and no day of death (2013)"],
    ),
    "negative time": (
        edit("p02.json", lambda body: patient(body).update(deceasedDateTime="2011-01-01")),
        ["Patient p02: death on 2011-01-01, before the diagnosis on 2012-01-15", "Condition c2"],
    ),
    "no birth": (edit("p02.json", lambda body: patient(body).pop("birthDate")), ["Patient p02: birthDate ''"]),
    "no patient": (
        edit("p02.json", lambda body: body["entry"].pop(0)),
        ["Condition c2: no Patient 'p02'", "Put its bundle"],
    ),
    "diagnosis without a day": (
        edit("p02.json", lambda body: resource(body, "Condition").pop("onsetDateTime")),
        ["Condition c2: a cancer (254837009) without a day"],
    ),
    "diagnosis of nobody": (
        edit("p02.json", lambda body: resource(body, "Condition").pop("subject")),
        ["Condition c2: a cancer (254837009) without subject"],
    ),
    "two patients of one number": (
        other,
        ["q.json, Patient p02: the patient of", "p02.json, Patient p02 again, and not the same"],
    ),
    "misshapen": (
        edit("p02.json", lambda body: resource(body, "Observation").update(code="21907-1")),
        ["p02.json, Observation o", "FHIR R4"],
    ),
    "unknown answer": (
        edit("p02.json", lambda body: resource(body, "Observation").update(valueCodeableConcept={"text": "M9"})),
        ["Observation o", "'M9' is no m", "--unknown skip"],
    ),
    "no cancer": (
        lambda f: [path.unlink() for path in f.iterdir() if path.name != "Patient.ndjson"],
        ["10 patients read, none with a cancer"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FHIR)
def test_damaged_bundles_are_refused(case: str, tmp_path: Path) -> None:
    change, words = FHIR[case]
    folder = tmp_path / "fhir"
    shutil.copytree(DATA / "fhir", folder)
    change(folder)
    with pytest.raises(Refused) as refusal:
        command(str(folder), tmp_path)
    for word in words:
        assert word in str(refusal.value)
    assert not (tmp_path / "x.parquet").exists()


def command(folder: str, out: Path, *more: str) -> None:
    """The command in this process; raises what it refuses."""
    done = CliRunner().invoke(app, ["cohort", "import", "fhir", folder, "--out", str(out / "x.parquet"), *more])
    if done.exception is not None:
        raise done.exception


def test_a_second_copy_of_a_bundle_changes_nothing(tmp_path: Path) -> None:
    shutil.copytree(DATA / "fhir", tmp_path / "fhir")
    shutil.copy(tmp_path / "fhir/p02.json", tmp_path / "fhir/q.json")
    once, twice = (assemble(reading(folder), FollowUp.export).table for folder in (DATA / "fhir", tmp_path / "fhir"))
    assert once.equals(twice)


# --------------------------------------------------------------------------------------------------------------- out


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("x.csv", ["allowed a name that ends in .parquet"]),
        ("file/x.parquet", ["cannot be written to", "Choose another folder"]),
        ("folder.parquet", ["is a folder"]),
        ("there.parquet", ["exists", "--overwrite"]),
    ],
)
def test_where_it_cannot_be_written_is_told_before_reading(out: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "there.parquet").write_text("precious")
    done = CliRunner().invoke(app, ["cohort", "import", "synthea-csv", "nowhere", "--out", str(tmp_path / out)])
    assert isinstance(done.exception, Refused)
    for word in words:
        assert word in str(done.exception)
    assert (tmp_path / "there.parquet").read_text() == "precious"


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sim.cohort.clinical.conform.write", full)
    with pytest.raises(Refused, match="cannot be written"):
        command(str(DATA / "fhir"), tmp_path)
    assert not list(tmp_path.iterdir())
