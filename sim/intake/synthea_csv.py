"""Charts from the CSV tables of Synthea's Java program: first the diagnoses, then the rows of these patients."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from sim.checks import Refused
from sim.cohort.clinical.codes import find
from sim.cohort.clinical.schema import upper_bound
from sim.intake import vocabulary as words
from sim.intake.charts import Charts, Demographics, RecordedDiagnosis, group_diagnoses, interpret
from sim.intake.export import Export, ordinals, without_decimal
from sim.intake.lines import Place, line_of
from sim.intake.reading import Reading, licence
from sim.intake.rules import Day, Odd, Rules
from sim.intake.stream import parse_days
from sim.intake.versions import TABLES
from sim.progress import Watch

SINCE = {  # our name -> column and the year from which exports have it
    "state": ("STATE", 2018),
    "city": ("CITY", 2018),
    "county": ("COUNTY", 2020),
    "income": ("INCOME", 2023),
}


def read(export: Export, rules: Rules, watch: Watch) -> Reading:
    """All records of the patients with a cancer; raises Refused if there are none."""
    export.watch, export.rules = watch, rules
    found, unlisted = diagnoses(export)
    charts = Charts(rules, cases=group_diagnoses(found))
    read_patients(export, charts, pa.array(list(charts.cases), pa.string()))
    patients = pa.array(list(charts.cases), pa.string())  # without those that are left out
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
    diagnosis = export.rules.codes.diagnosis
    for batch in export.read("conditions"):
        whole = batch.frame()
        whole["code"] = without_decimal(whole["code"])
        held = whole[listed(whole["code"], diagnosis)]
        encounter = held["encounter"] if "encounter" in held else pd.Series("", held.index)
        day = ordinals(parse_days(batch.path, "START", held["day"], export.rules))
        for row, patient, at, code, visit, text in zip(
            held.index, held["patient"], day, held["code"], encounter, held["day"], strict=True
        ):
            place, what = export.place("conditions", row), diagnosis(code)
            if at and what:
                found.setdefault(patient, []).append(RecordedDiagnosis(int(at), what, visit, place))
            elif not text:
                without = f"{place}: a diagnosis ({code}) without START. Fill it in, or drop the row."
                export.rules.leave_out(Odd("diagnoses without a day", without))
        if "text" in whole:
            unlisted_cancer = export.rules.codes.unlisted_cancer
            named = Counter(zip(whole["code"], whole["text"], strict=True))
            unlisted.update({f"{code} {text}": n for (code, text), n in named.items() if unlisted_cancer(code, text)})
    return found, unlisted


def read_patients(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add the demographics of patients with a cancer; counts all patients of the file and refuses a duplicate."""
    path = export.files["patients"].path
    keys = [pd.Series(dtype="uint64")]
    for batch in export.read("patients"):
        ids = batch.frame()["id"]
        keys.append(pd.Series(pd.util.hash_array(ids.to_numpy(dtype=object)), index=ids.index))
        held = batch.frame(batch.isin("id", patients))
        dated = {
            name: ordinals(parse_days(path, f"{name.upper()}DATE", held[name], charts.rules))
            for name in ("birth", "death")
        }
        for name, days in dated.items():
            for patient in held["id"][(held[name] != "") & (days == 0)]:  # not understood, and counted
                charts.drop(patient)
        held = held.assign(**dated, **{name: "" for name in ("race", "ethnicity", *SINCE) if name not in held})
        held = held[held["id"].isin(list(charts.cases))]
        for number, cells in zip(held.index, held.itertuples(index=False, name=None), strict=True):
            row = dict(zip(held.columns, cells, strict=True))
            try:
                place = export.place("patients", number)
                charts.demographics[row["id"]] = demographics(place, row, charts.rules.not_understood)
            except Odd as odd:
                charts.drop(row["id"], odd)
    key = pd.concat(keys)
    again = key.duplicated().to_numpy()
    if again.any():
        row = key.index[int(np.argmax(again))]
        first = line_of(path, int(key.index[int(np.argmax(key == key[row]))]))
        raise Refused(f"{Place(path, int(row))}: the same patient as in line {first}. Keep one row per patient.")
    if key.empty:
        raise Refused(f"{path}: no rows. Export a population first.")
    for patient, cases in list(charts.cases.items()):
        if patient not in charts.demographics:
            why = f"{cases[0].place}: patient {patient!r} is not in {path.name}. Take both from one export."
            charts.drop(patient, Odd("diagnoses of patients without a record", why))


def demographics(place: Place, row: Mapping[str, str | Day], not_understood: Counter[str] | None) -> Demographics:
    """Demographics from a row of patients.csv."""
    text = {name: str(value).strip() for name, value in row.items()}
    try:
        income = float(text["income"]) if text["income"] else None
    except ValueError:
        why = f"{place.at('INCOME')}: {text['income']!r} is no number. Correct it."
        raise Odd("patients whose income is no number", why) from None
    if income is not None and not 0 <= income <= upper_bound("income_usd"):
        allowed = f"allowed 0 to {upper_bound('income_usd'):.0f} USD per year"
        why = f"{place.at('INCOME')}: {text['income']!r}; {allowed}. Correct it."
        raise Odd("patients whose income is out of range", why)
    if not row["birth"]:
        why = f"{place}: no BIRTHDATE, and an age at diagnosis needs one. Fill it in."
        raise Odd("patients without BIRTHDATE", why)
    return Demographics(
        birth=int(row["birth"]),
        death=int(row["death"]) or None,
        sex=words.sex(text["sex"], place.at("GENDER"), not_understood),
        race=words.race(text["race"], place.at("RACE"), not_understood),
        ethnicity=words.ethnicity(text["ethnicity"], text["race"], place.at("ETHNICITY"), not_understood),
        state=text["state"],
        city=text["city"],
        county=text["county"],
        income_usd=income,
        place=place,
    )


def comorbidities(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add the comorbidities."""
    known = charts.rules.codes.comorbidities
    for held in export.rows_of("conditions", patients):
        for patient, day, code in zip(held["patient"], held["day"], without_decimal(held["code"]), strict=True):
            column = find(known, code)
            if column:
                charts.comorbidity(patient, day, column)


def encounters(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add the encounters; the facility is the organisation or, where an export has none, the provider."""
    for batch in export.read("encounters"):
        whole = batch.frame()
        whole["day"] = ordinals(parse_days(batch.path, "START", whole["day"], export.rules))
        charts.end = max(charts.end, int(whole["day"].max()) if len(whole) else 0)
        held = whole[batch.isin("patient", patients)]
        facility = held["organization"] if "organization" in held else pd.Series("", held.index)
        if "provider" in held:
            facility = facility.where(facility != "", held["provider"])
        for patient, day, visit, where in zip(held["patient"], held["day"], held["id"], facility, strict=True):
            charts.visit(patient, day, visit, where)


def observations(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add answers and causes of death."""
    codes = charts.rules.codes
    for held in export.rows_of("observations", patients):
        for patient, day in held.groupby("patient")["day"].min().items():
            charts.note_day(str(patient), day)
        known = held[held["code"].isin([*codes.observations, codes.cause_of_death])]
        for row, patient, day, code, text, unit in known[["patient", "day", "code", "value", "unit"]].itertuples():
            if code == codes.cause_of_death:
                charts.causes[patient] = text
                continue
            one, place = codes.observations[code], export.place("observations", row).at("VALUE")
            value = interpret(one, "", text, unit, place, charts.rules.not_understood)
            if value is not None:
                charts.observe(patient, day, one, value)


def treatments(export: Export, charts: Charts, patients: pa.Array) -> None:
    """Add procedures and drugs that treat a cancer."""
    codes = charts.rules.codes
    treatment = partial(find, codes.treatments)
    for table in ("procedures", "medications"):
        for held in export.rows_of(table, patients):
            note = charts.note_day if table == "procedures" else charts.note_contact
            for patient, day in held.groupby("patient")["day"].min().items():
                note(str(patient), day)
            code = without_decimal(held["code"])
            known = held.assign(code=code, reason=without_decimal(held["reason"]))[listed(code, treatment)]
            for patient, day, one, why in zip(
                *(known[name] for name in ("patient", "day", "code", "reason")), strict=True
            ):
                what = treatment(one)
                if what:
                    charts.treat(patient, day, what, codes.diagnosis(why))


def listed(code: pd.Series, meaning: Callable[[str], object]) -> pd.Series:
    """Whether each code has a meaning, bool [n]."""
    return code.isin([one for one in code.unique() if meaning(one) is not None])
