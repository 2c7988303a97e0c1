"""Import: twenty patients told by hand, as exports of 2017, 2020 and 2024 and as FHIR write them, give one table."""

import gzip
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from sim.cohort.clinical import conform
from sim.cohort.clinical.schema import SAME_DAY, TREATMENTS, columns
from sim.cohort.clinical.source import Clinical, Site
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.intake.assemble import Assembled, assemble
from sim.intake.options import FollowUp
from sim.intake.stream import batches
from tests.toy import DATA, SHARED, reading

REAL = SHARED / "synthea_csv_2019"
FORMS = ("synthea_2017", "synthea_2020", "synthea_2024", "fhir")
END = date(2022, 12, 31)  # last encounter of anybody in the fixture

# What the stories say, row by row; None where nothing was recorded at the time. Treatments in days from diagnosis.
HER = {"sex": "female", "race": "white", "ethnicity": "nonhispanic"}
HIM = HER | {"sex": "male"}
P01, P11, P20 = date(1950, 3, 1), date(1958, 6, 21), date(1945, 6, 6)
# patient, cancer, birth, diagnosis, death, county, facility, income, what else was recorded
ROWS = [
    ("p01", "breast", P01, date(2010, 5, 10), None, "Suffolk", "hosp-a", 52000,
     HER | {"smoking": "never", "bmi": 26.0, "stage": 2, "t": 2, "n": 0, "m": 0, "tumor_size_cm": 2.5, "er": True,
            "pr": True, "her2": False, "com_hypertension": True, "surgery": 31, "radiation": 71, "hormone": 114,
            "response": True}),
    ("p02", "breast", date(1948, 7, 15), date(2012, 1, 15), date(2013, 3, 1), "Suffolk", "hosp-a", 31000,
     HER | {"race": "black", "stage": 4, "t": 4, "n": 2, "m": 1, "tumor_size_cm": 5.6, "er": False, "pr": False,
            "her2": False, "chemo": 17, "response": False, "death_cause_cancer": True}),
    ("p03", "male_breast", date(1955, 1, 20), date(2015, 10, 1), None, "Essex", "hosp-b", 88000,
     HIM | {"stage": 2, "t": 1, "n": 1, "m": 0, "er": False, "pr": False, "her2": True, "surgery": 222,
            "targeted": 40}),
    ("p04", "colorectal", date(1960, 11, 30), date(2016, 2, 2), None, "Essex", "hosp-b", 120500,
     HER | {"race": "asian", "bmi": 22.4, "stage": 1, "polyp_size_mm": 8.2, "surgery": 18}),
    ("p05", "colorectal", date(1944, 5, 5), date(2013, 3, 3), None, "Norfolk", "hosp-c", 27500,
     HIM | {"ethnicity": "hispanic", "smoking": "ever", "bmi": 29.9, "stage": 2, "surgery": 30, "chemo": 60}),
    ("p06", "colorectal", date(1940, 2, 29), date(2013, 2, 20), date(2015, 9, 1), "Norfolk", "hosp-c", 40000,
     HIM | {"stage": 4, "surgery": 18, "chemo": 23, "death_cause_cancer": True}),
    ("p07", "lung", date(1952, 8, 8), date(2010, 1, 11), date(2012, 4, 20), "Suffolk", "hosp-a", 36000,
     HIM | {"race": "black", "smoking": "ever", "histology": "nsclc", "stage": 1, "chemo": 28, "radiation": 30,
            "death_cause_cancer": True}),
    ("p08", "lung", date(1949, 12, 12), date(2018, 6, 6), date(2018, 6, 6), "Essex", "hosp-b", 61000,
     HER | {"smoking": "ever", "histology": "sclc", "stage": 1, "death_cause_cancer": True}),
    ("p09", "prostate", date(1947, 4, 17), date(2014, 5, 15), None, "Plymouth", "hosp-c", 73000,
     HIM | {"psa": 12.3, "surgery": 0}),
    ("p10", "prostate", date(1938, 9, 9), date(2011, 11, 11), date(2014, 2, 11), "Plymouth", "hosp-c", 18000,
     HIM | {"race": "native", "psa": 25.7, "hormone": 20, "death_cause_cancer": False}),
    ("p11", "breast", P11, date(2008, 3, 3), None, "Suffolk", "hosp-a", 95000,
     HER | {"bmi": 24.0, "stage": 1, "t": 1, "n": 0, "m": 0, "tumor_size_cm": 1.1, "er": True, "pr": False,
            "her2": False, "surgery": 30}),
    ("p11", "colorectal", P11, date(2014, 9, 9), None, "Suffolk", "hosp-b", 95000,
     HER | {"bmi": 25.5, "stage": 3, "polyp_size_mm": 11.0, "chemo": 60}),
    ("p12", "aml", date(2005, 5, 25), date(2015, 7, 7), date(2017, 1, 2), "Norfolk", "hosp-a", 54000,
     HER | {"bmi": 17.0, "chemo": 25, "death_cause_cancer": True}),
    ("p13", "breast", date(1941, 10, 16), date(1990, 4, 4), None, "Dukes", "hosp-d", 57000, HER | {"cut": True}),
    ("p14", "breast", date(1966, 2, 14), date(2012, 8, 1), None, "Essex", "hosp-b", 44000,
     HER | {"race": "other", "bmi": 21.0, "her2": False}),
    ("p20", "lung", P20, date(2010, 10, 10), date(2011, 12, 24), "Norfolk", "hosp-c", 50000,
     HIM | {"smoking": "ever", "bmi": 28.5, "histology": "nsclc", "stage": 4, "com_diabetes": True, "com_copd": True,
            "com_heart": True, "com_ckd": True, "death_cause_cancer": True}),
]  # fmt: skip


def told(form: str) -> pd.DataFrame:
    """The table that the stories give, without what an export of that form cannot hold."""
    rows = []
    for patient, cancer, birth, dx, death, county, facility, income, more in ROWS:
        cells = dict.fromkeys(columns()) | {
            "patient_id": patient,
            "source": "fhir" if form == "fhir" else "java_csv",
            "cancer_type": cancer,
            "dx_date": dx,
            "age_at_dx": (dx - birth).days / DAYS_PER_YEAR,
            "state": "Massachusetts",
            "city": "Boston",
            "county": f"{county} County",
            "facility_id": facility,
            "income_usd": float(income),
            "time_years": max(((death or END) - dx).days, SAME_DAY) / DAYS_PER_YEAR,
            "event": death is not None,
        }
        cells |= dict.fromkeys((name for name in columns() if name.startswith("com_")), False)
        for name in TREATMENTS:
            given = more.get(name)
            cells[f"tx_{name}"] = None if "cut" in more else given is not None
            cells[f"tx_{name}_days"] = None if given is None else float(given)
        cells |= {name: value for name, value in more.items() if name in columns()}
        if form == "synthea_2017" and patient == "p05":
            cells["race"] = "unknown"  # exports of that year write "hispanic" for the race
        lacks = {
            "synthea_2017": ["state", "city", "county", "facility_id", "income_usd"],
            "synthea_2020": ["income_usd"],
        }
        rows.append(cells | dict.fromkeys(lacks.get(form, ["income_usd"] if form == "fhir" else [])))
    return conform.conform(pd.DataFrame(rows), "told by hand")


def imported(folder: Path, block: int = 1 << 20) -> Assembled:
    return assemble(reading(folder, block=block), FollowUp.export)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_table_of_the_stories(form: str) -> None:
    made = imported(DATA / form)
    pd.testing.assert_frame_equal(made.table, told(form))
    assert made.truncated == 1


@pytest.mark.parametrize("form", FORMS[:3])
def test_blocks_of_any_size_give_the_same_table(form: str) -> None:
    """The header is 250 bytes, a row up to 200; 1 KB is a few rows a block."""
    pd.testing.assert_frame_equal(imported(DATA / form, block=1024).table, told(form))


def test_gaps_have_their_reasons() -> None:
    why = imported(DATA / "synthea_2017").gaps
    for name, theirs, year in (("state", "STATE", 2018), ("county", "COUNTY", 2020), ("income_usd", "INCOME", 2023)):
        assert dict(why[name]) == {f"patients.csv has no {theirs}, which exports have from {year} on": 16}
    assert dict(why["facility_id"]) == {"encounters.csv has neither ORGANIZATION nor PROVIDER": 16}
    cut = "before the records begin (Synthea: export with exporter.years_of_history = 0)"
    assert dict(why["tx_surgery"]) == {cut: 1}
    assert dict(why["stage"]) == {
        "Synthea has it for breast, colorectal, lung only": 3,
        cut: 1,
        "recorded only later than the diagnosis and its work-up": 1,
    }
    assert dict(why["recurrence"]) == {"no Synthea module has it": 16}
    assert dict(why["death_cause_cancer"]) == {"alive": 9}
    assert set(why) == {name for name in told("synthea_2017") if told("synthea_2017")[name].isna().any()} - {
        f"tx_{name}_days" for name in TREATMENTS
    }


@pytest.mark.parametrize(
    ("table", "empty"),
    [
        ("encounters", {"facility_id"}),
        ("observations", {"bmi", "t", "er", "psa", "smoking", "death_cause_cancer"}),
        ("procedures", {"tx_surgery", "tx_radiation"}),
        ("medications", {"tx_hormone", "tx_targeted"}),
    ],
)
def test_an_export_without_a_table_says_what_it_costs(table: str, empty: set[str], tmp_path: Path) -> None:
    shutil.copytree(DATA / "synthea_2020", tmp_path / "csv")
    (tmp_path / "csv" / f"{table}.csv").unlink()
    made = imported(tmp_path / "csv")
    assert len(made.table) == 16
    for name in empty:
        assert made.table[name].isna().all()
        if name != "death_cause_cancer":
            assert f"no {table}.csv" in made.gaps[name]
    if table == "medications":  # chemotherapy that a procedure tells is known; that there was none is not
        assert made.table["tx_chemo"].dropna().all()


def test_without_encounters_follow_up_ends_with_the_last_record(tmp_path: Path) -> None:
    shutil.copytree(DATA / "synthea_2020", tmp_path / "csv")
    (tmp_path / "csv/encounters.csv").unlink()
    # Of any patient with a cancer: the death certificate of p08.
    lived = imported(tmp_path / "csv").table.query("patient_id == 'p09'")["time_years"].iloc[0]
    assert lived == pytest.approx((date(2018, 6, 6) - date(2014, 5, 15)).days / DAYS_PER_YEAR)


def test_the_living_may_be_followed_to_their_last_contact() -> None:
    made = assemble(reading(DATA / "synthea_2024"), FollowUp.contact).table.set_index(["patient_id", "cancer_type"])
    assert made.loc[("p11", "breast"), "time_years"] == pytest.approx(
        (date(2014, 9, 9) - date(2008, 3, 3)).days / DAYS_PER_YEAR
    )
    assert made.loc[("p09", "prostate"), "time_years"] == pytest.approx(SAME_DAY / DAYS_PER_YEAR)
    assert made.loc[("p02", "breast"), "time_years"] == pytest.approx(
        (date(2013, 3, 1) - date(2012, 1, 15)).days / DAYS_PER_YEAR
    )


def test_codes_that_a_data_frame_took_for_numbers_are_still_codes(tmp_path: Path) -> None:
    shutil.copytree(DATA / "synthea_2020", tmp_path / "csv")
    for name in ("conditions", "procedures", "medications"):
        path = tmp_path / "csv" / f"{name}.csv"
        pd.read_csv(path).astype({"CODE": "float64"}).to_csv(path, index=False, float_format="%.1f")
    pd.testing.assert_frame_equal(imported(tmp_path / "csv").table, told("synthea_2020"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real export lies in ../shared/data, outside the repository")
def test_the_real_export() -> None:
    """107 people, 5 with cancer (its README); the rows of the five, read by hand in its conditions.csv."""
    made = imported(REAL)
    assert reading(REAL).patients == 107
    table = made.table.set_index(made.table["patient_id"].str.slice(0, 8))
    assert table["cancer_type"].astype(str).to_dict() == {
        "780ec78c": "colorectal",
        "7e1e93f8": "breast",
        "ca286431": "breast",
        "cf5956bb": "colorectal",
        "e5b40b82": "breast",
    }
    assert table["dx_date"].dt.date.to_dict()["ca286431"] == date(2012, 9, 2)
    dead = table.loc["cf5956bb"]
    assert bool(dead["event"])
    assert bool(dead["death_cause_cancer"])
    assert dead["stage"] == 2
    assert dead["time_years"] == pytest.approx((date(2020, 4, 28) - date(2015, 12, 7)).days / DAYS_PER_YEAR)
    # No breast cancer has its stage: the export keeps ten years, and they are older.
    assert made.truncated == 3
    assert any("exporter.years_of_history = 0" in reason for reason in made.gaps["stage"])


def fedtrial(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sim", *words], cwd=cwd, capture_output=True, text=True, timeout=240)


def test_the_command_writes_a_table_and_a_card_that_the_cohort_reads(tmp_path: Path) -> None:
    words = ["cohort", "import", "synthea-csv", str(DATA / "synthea_2024"), "--out", "mine.parquet"]
    done = fedtrial(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kinds = "aml 1, breast 5, colorectal 4, lung 3, male_breast 1, prostate 2"
    assert f"20 patients read, 15 with cancer: {kinds}." in done.stdout
    assert "363443007 Malignant neoplasm of ovary" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.card.md", "mine.parquet"]
    card = (tmp_path / "mine.card.md").read_text()
    for part in (
        "synthea_2024",
        "Licence | not stated",
        "`facility_id`, 4: hosp-a 5",
        "simulated",
        "must not be concluded",
    ):
        assert part in card
    again = fedtrial(*words, cwd=tmp_path)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert fedtrial(*words, "--overwrite", cwd=tmp_path).returncode == 0
    shown = fedtrial("cohort", "describe", "clinical", "cohort.file=mine.parquet", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for part in ("What must not be concluded", "survival events", "mortality_5y", "1 younger than 18"):
        assert part in shown.stdout
    words = [
        "cohort=clinical",
        "cohort.file=mine.parquet",
        "task=hazard",
        "partition=natural",
        "rounds=1",
        "task.bins=2",
    ]
    run = fedtrial("run", *words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_the_reader_takes_sites_from_the_first_diagnosis(tmp_path: Path) -> None:
    conform.write(told("synthea_2024"), tmp_path / "x.parquet")
    table = Clinical(dir=str(tmp_path), file="x.parquet").load(0).table
    assert table.loc[table["patient"] == "p11", "site"].tolist() == ["hosp-a", "hosp-a"]
    table = Clinical(dir=str(tmp_path), file="x.parquet", site=Site.county).load(0).table
    assert set(table["site"]) == {f"{name} County" for name in ("Dukes", "Essex", "Norfolk", "Plymouth", "Suffolk")}


def test_a_large_file_streams(tmp_path: Path) -> None:
    """Two megabytes in blocks of 64 KB: what is held at a time is one block, whatever the file's size."""
    lines = "".join(f"2010-01-01,p{i % 50},39156-5,{20 + i % 9},kg/m2\n" for i in range(60_000))
    path = tmp_path / "observations.csv.gz"
    path.write_bytes(gzip.compress(("DATE,PATIENT,CODE,VALUE,UNITS\n" + lines).encode()))
    told_bytes: list[int] = []
    names = {"day": "DATE", "patient": "PATIENT", "value": "VALUE"}
    made = batches(path, names, told_bytes.append, 1 << 16)
    sizes = [(batch.first, batch.cells.num_rows, batch.cells.nbytes) for batch in made]
    assert len(sizes) == 30
    assert max(nbytes for _, _, nbytes in sizes) < 2 << 16
    assert sum(rows for _, rows, _ in sizes) == 60_000
    assert [first for first, _, _ in sizes] == [2 + sum(rows for _, rows, _ in sizes[:n]) for n in range(len(sizes))]
    assert told_bytes == sorted(told_bytes)
    assert told_bytes[-1] == path.stat().st_size
