"""Charts from the CSV tables of Synthea's Java program: first the diagnoses, then the rows of these patients."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from sim.checks import Refused
from sim.cohort.clinical import codes
from sim.cohort.clinical.schema import upper_bound
from sim.intake import vocabulary as words
from sim.intake.charts import Charts, Day, Demographics, RecordedDiagnosis, group_diagnoses, interpret
from sim.intake.export import Export, ordinals, without_decimal
from sim.intake.reading import Reading, licence
from sim.intake.stream import parse_days
from sim.intake.versions import TABLES
from sim.progress import Watch

SINCE = {  # our name -> column and the year from which exports have it
    "state": ("STATE", 2018),
    "city": ("CITY", 2018),
    "county": ("COUNTY", 2020),
    "income": ("INCOME", 2023),
}


def read(export: Export, not_understood: Counter[str] | None, watch: Watch) -> Reading:
    """All records of the patients with a cancer; raises Refused if there are none."""
    export.watch = watch
    found, unlisted = diagnoses(export)
    charts = Charts(not_understood, cases=group_diagnoses(found))
    patients = pa.array(list(charts.cases), pa.string())
    read_patients(export, charts, patients)
    absent = {
        "income_usd" if column == "income" else column: f"patients.csv has no {name}, which exports have from {year} on"
        for column, (name, year) in SINCE.items()
        if column not in export.files["patients"].columns
    }
    if "encounters" in export.files and not {"organization", "provider"} & set(export.files["encounters"].columns):
        absent["facility_id"] = "encounters.csv has neither ORGANIZATION nor PROVIDER"
    made = Reading(
        source="java_csv",
        charts=charts,
        patients=export.rows["patients"],
        rows=export.rows,
        tables={table: f"{table}.csv" for table in TABLES},
        absent=absent,
        unlisted=unlisted,
        licence=licence(export.folder),
    )
    comorbidities(export, charts, patients)
    encounters(export, charts, patients)
    observations(export, charts, patients)
    treatments(export, charts, patients)
    charts.end = charts.end or export.latest
    return made


def diagnoses(export: Export) -> tuple[dict[str, list[RecordedDiagnosis]], Counter[str]]:
    """Diagnoses of every patient who has one, and counts of conditions that sound like a cancer with unknown code."""
    found: dict[str, list[RecordedDiagnosis]] = {}
    unlisted: Counter[str] = Counter()
    for batch in export.read("conditions"):
        whole = batch.frame()
        whole["code"] = without_decimal(whole["code"])
        held = whole[whole["code"].isin(list(codes.diagnoses()))]
        encounter = held["encounter"] if "encounter" in held else pd.Series("", held.index)
        day = ordinals(parse_days(batch.path, "START", held["day"]))
        for line, patient, at, code, visit in zip(
            held.index, held["patient"], day, held["code"], encounter, strict=True
        ):
            place = export.place("conditions", line)
            if not at:
                raise Refused(f"{place}: a diagnosis ({code}) without START. Fill it in, or drop the row.")
            found.setdefault(patient, []).append(RecordedDiagnosis(int(at), code, visit, place))
        if "text" in whole:
            named = Counter(zip(whole["code"], whole["text"], strict=True))
            unlisted.update(
                {f"{code} {text}": n for (code, text), n in named.items() if codes.unlisted_cancer(code, text)}
            )
    return found, unlisted


def read_patients(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add the demographics of patients with a cancer; counts all patients of the file and refuses a duplicate."""
    path = export.files["patients"].path
    keys = [pd.Series(dtype="uint64")]
    for batch in export.read("patients"):
        ids = batch.frame()["id"]
        keys.append(pd.Series(pd.util.hash_array(ids.to_numpy(dtype=object)), index=ids.index))
        held = batch.frame(batch.isin("id", patients))
        dated = {name: ordinals(parse_days(path, f"{name.upper()}DATE", held[name])) for name in ("birth", "death")}
        held = held.assign(**dated, **{name: "" for name in ("race", "ethnicity", *SINCE) if name not in held})
        for line, cells in zip(held.index, held.itertuples(index=False, name=None), strict=True):
            row = dict(zip(held.columns, cells, strict=True))
            charts.demographics[row["id"]] = demographics(export.place("patients", line), row, charts.not_understood)
    key = pd.concat(keys)
    again = key.duplicated().to_numpy()
    if again.any():
        line = key.index[int(np.argmax(again))]
        first = key.index[int(np.argmax(key == key[line]))]
        raise Refused(f"{path}, line {line}: the patient of line {first} again. Keep one row per patient.")
    if key.empty:
        raise Refused(f"{path}: no rows. Export a population first.")
    for patient, cases in charts.cases.items():
        if patient not in charts.demographics:
            raise Refused(f"{cases[0].place}: patient {patient!r} is not in {path.name}. Take both from one export.")


def demographics(place: str, row: Mapping[str, str | Day], not_understood: Counter[str] | None) -> Demographics:
    """Demographics from a row of patients.csv."""
    text = {name: str(value).strip() for name, value in row.items()}
    try:
        income = float(text["income"]) if text["income"] else None
    except ValueError:
        raise Refused(f"{place}, column INCOME: {text['income']!r} is no number. Correct it.") from None
    if income is not None and not 0 <= income <= upper_bound("income_usd"):
        allowed = f"allowed 0 to {upper_bound('income_usd'):.0f} USD per year"
        raise Refused(f"{place}, column INCOME: {text['income']!r}; {allowed}. Correct it.")
    if not row["birth"]:
        raise Refused(f"{place}: no BIRTHDATE, and an age at diagnosis needs one. Fill it in.")
    return Demographics(
        birth=int(row["birth"]),
        death=int(row["death"]) or None,
        sex=words.sex(text["sex"], f"{place}, column GENDER", not_understood),
        race=words.race(text["race"], f"{place}, column RACE", not_understood),
        ethnicity=words.ethnicity(text["ethnicity"], text["race"], f"{place}, column ETHNICITY", not_understood),
        state=text["state"],
        city=text["city"],
        county=text["county"],
        income_usd=income,
        place=place,
    )


def comorbidities(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add the comorbidities."""
    known = codes.comorbidities()
    for held in export.rows_of("conditions", patients):
        for patient, day, code in zip(held["patient"], held["day"], without_decimal(held["code"]), strict=True):
            if code in known:
                charts.comorbidity(patient, day, known[code])


def encounters(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add the encounters; the facility is the organisation or, where an export has none, the provider."""
    for batch in export.read("encounters"):
        whole = batch.frame()
        whole["day"] = ordinals(parse_days(batch.path, "START", whole["day"]))
        charts.end = max(charts.end, int(whole["day"].max()) if len(whole) else 0)
        held = whole[batch.isin("patient", patients)]
        facility = held["organization"] if "organization" in held else pd.Series("", held.index)
        if "provider" in held:
            facility = facility.where(facility != "", held["provider"])
        for patient, day, visit, where in zip(held["patient"], held["day"], held["id"], facility, strict=True):
            charts.visit(patient, day, visit, where)


def observations(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add answers and causes of death."""
    for held in export.rows_of("observations", patients):
        for patient, day in held.groupby("patient")["day"].min().items():
            charts.note_day(str(patient), day)
        known = held[held["code"].isin([*codes.observations(), codes.cause_of_death_code()])]
        for line, patient, day, code, text, unit in known[["patient", "day", "code", "value", "unit"]].itertuples():
            if code == codes.cause_of_death_code():
                charts.causes[patient] = text
                continue
            one, place = codes.observations()[code], f"{export.place('observations', line)}, column VALUE"
            value = interpret(one, "", text, unit, place, charts.not_understood)
            if value is not None:
                charts.observe(patient, day, one, value)


def treatments(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add procedures and drugs that treat a cancer."""
    for table in ("procedures", "medications"):
        for held in export.rows_of(table, patients):
            if table == "procedures":
                for patient, day in held.groupby("patient")["day"].min().items():
                    charts.note_day(str(patient), day)
            code = without_decimal(held["code"])
            known = held.assign(code=code, reason=without_decimal(held["reason"]))[code.isin(list(codes.treatments()))]
            for patient, day, one, why in zip(
                *(known[name] for name in ("patient", "day", "code", "reason")), strict=True
            ):
                charts.treat(patient, day, one, why)
