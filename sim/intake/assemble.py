"""The clinical table from charts, with the reason for every gap in it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from sim.checks import Refused
from sim.cohort.clinical.conform import conform
from sim.cohort.clinical.schema import SAME_DAY, TREATMENTS, columns, upper_bound
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.intake.charts import WORKUP, Case, Charts
from sim.intake.options import FollowUp
from sim.intake.reading import Reading, no_cancer
from sim.intake.rules import SLACK, Odd

SOURCES = {  # treatment -> tables of the export that record it
    "surgery": ("procedures",),
    "radiation": ("procedures",),
    "chemo": ("procedures", "medications"),
    "hormone": ("medications",),
    "targeted": ("medications",),
}
NOT_EXPORTED = {"ses": "no export holds it; income_usd may serve as a proxy", "recurrence": "no Synthea module has it"}
BEFORE = "before the records begin"
TRUNCATED = f"{BEFORE} (Synthea: export with exporter.years_of_history = 0)"
NO_RECORD = "no record of the patient except the diagnosis"


@dataclass
class Assembled:
    """The table and the reasons for its gaps."""

    table: pd.DataFrame  # conforms to the schema
    gaps: dict[str, Counter[str]] = field(default_factory=dict)  # column -> reason for a gap -> rows
    truncated: int = 0  # rows whose records begin after the diagnosis


def assemble(reading: Reading, follow_up: FollowUp) -> Assembled:
    """One row per patient and cancer, sorted by patient; raises Refused with the file and line of an error."""
    rows = []
    why: dict[str, Counter[str]] = {}
    truncated = 0
    for patient in sorted(reading.charts.cases):
        cases = reading.charts.cases[patient]
        try:
            made = [row(reading, patient, case, follow_up) for case in cases]
        except Odd as odd:
            reading.charts.drop(patient, odd)
            continue
        rows += made
        for case, cells in zip(cases, made, strict=True):
            truncated += missing_start(reading, patient, case).startswith(BEFORE)
            for name in columns():
                if cells.get(name) is None and not name.endswith("_days"):
                    reason = reason_for_gap(reading, name, patient, case, str(cells["cancer_type"]))
                    why.setdefault(name, Counter())[reason] += 1
    if not rows:
        raise Refused(no_cancer(reading))
    return Assembled(conform(pd.DataFrame(rows), "the import"), why, truncated)


def row(reading: Reading, patient: str, case: Case, follow_up: FollowUp) -> dict[str, object]:
    """Cells of one row; None = not recorded."""
    charts = reading.charts
    person = charts.demographics[patient]
    if person.birth > case.day:
        raise Odd(
            "patients diagnosed before their birth",
            f"{case.place}: diagnosis on {iso_date(case.day)}, before the birth on {iso_date(person.birth)} "
            f"({person.place}). Correct one of the two.",
        )
    if case.day - person.birth > upper_bound("age_at_dx") * DAYS_PER_YEAR:
        raise Odd(
            f"patients older than {upper_bound('age_at_dx'):g} years",
            f"{case.place}: diagnosis on {iso_date(case.day)}, more than {upper_bound('age_at_dx'):g} years after the "
            f"birth on {iso_date(person.birth)} ({person.place}). Correct one of the two.",
        )
    cells: dict[str, object] = {
        "patient_id": patient,
        "source": reading.source,
        "cancer_type": "male_breast" if case.cancer == "breast" and person.sex == "male" else case.cancer,
        "dx_date": date.fromordinal(case.day),
        "age_at_dx": (case.day - person.birth) / DAYS_PER_YEAR,
        "sex": person.sex,
        "race": person.race,
        "ethnicity": person.ethnicity,
        "state": person.state or None,
        "city": person.city or None,
        "county": person.county or None,
        "facility_id": case.facility or None,
        "income_usd": person.income_usd,
        "histology": case.histology,
        "stage": case.stage,
        "time_years": max(follow_up_days(charts, patient, case, follow_up), SAME_DAY) / DAYS_PER_YEAR,
        "event": person.death is not None,
    }
    cells |= {name: value for name, (_, value) in case.found.items()}
    known = charts.comorbid.get(patient, {})
    for name in charts.rules.codes.table["comorbidities"]:
        cells[name] = name in known and known[name] <= case.day + SLACK
    begun = not missing_start(reading, patient, case)
    for name in TREATMENTS:
        if name in case.treated and (begun or not cut_by_years(reading, patient)):
            cells |= {f"tx_{name}": True, f"tx_{name}_days": float(case.treated[name])}
        elif begun and all(table in reading.rows for table in SOURCES[name]):
            cells[f"tx_{name}"] = False
    if person.death is not None and charts.causes.get(patient):
        cells["death_cause_cancer"] = charts.rules.codes.died_of(case.cancer, charts.causes[patient])
    return cells


def follow_up_days(charts: Charts, patient: str, case: Case, follow_up: FollowUp) -> int:
    """Days from diagnosis to death or to the end of follow-up."""
    person = charts.demographics[patient]
    if person.death is None:
        end = charts.end if follow_up is FollowUp.export else charts.last.get(patient, case.day)
        return max(end - case.day, 0)
    if person.death < case.day - SLACK - case.early:
        raise Odd(
            "patients who died before the diagnosis",
            f"{person.place}: death on {iso_date(person.death)}, before the diagnosis on {iso_date(case.day)} "
            f"({case.place}). Correct one of the two, or drop the patient.",
        )
    return max(person.death - case.day, 0)


def missing_start(reading: Reading, patient: str, case: Case) -> str:
    """Why work-up and treatment may be missing: the records begin after the diagnosis; "" if they do not.

    Where Synthea cuts its history, it keeps the encounter of a diagnosis that still lasts, but no observation or
    procedure; elsewhere an encounter or a drug is a record like any other.
    """
    charts, latest = reading.charts, case.day + SLACK
    first, seen = (days.get(patient) for days in (charts.first, charts.seen))
    if first is not None and first <= latest:
        return ""
    if cut_by_years(reading, patient):
        return TRUNCATED
    met = seen is not None and seen <= latest
    if not by_synthea(reading, patient):
        if met:
            return ""
        return NO_RECORD if first is None and seen is None else BEFORE
    later = [at for at in (first, case.next) if at is not None]
    if met and later and min(later) <= case.day + WORKUP:
        return ""
    lacking = [reading.tables[table] for table in ("observations", "procedures") if table not in reading.rows]
    return f"no {' and no '.join(lacking)}, which would tell whether the records had begun"


def by_synthea(reading: Reading, patient: str) -> bool:
    """Whether Synthea wrote the patient's records, which may leave out years."""
    return reading.source == "java_csv" or patient in reading.charts.simulated


def cut_by_years(reading: Reading, patient: str) -> bool:
    """Whether the observations and procedures of a Synthea export tell when its records begin."""
    return by_synthea(reading, patient) and {"observations", "procedures"} <= set(reading.rows)


def reason_for_gap(reading: Reading, name: str, patient: str, case: Case, cancer: str) -> str:
    """Why a cell is empty, for the card."""
    charts, person = reading.charts, reading.charts.demographics[patient]
    one = charts.rules.codes.columns.get(name)
    needs = SOURCES.get(name.removeprefix("tx_"), ("observations",) if one else ())
    needs = ("encounters",) if name == "facility_id" else needs
    lacking = [reading.tables[table] for table in needs if table not in reading.rows]
    if name in reading.absent or name in NOT_EXPORTED:
        return reading.absent.get(name) or NOT_EXPORTED[name]
    synthea = by_synthea(reading, patient)
    if name == "histology" and cancer != "lung" and synthea:
        return "Synthea has it for lung only"
    if name == "death_cause_cancer":
        certified = "a cause that codes.yaml has no words for" if charts.causes.get(patient) else ""
        return "alive" if person.death is None else certified or "no cause on a death certificate"
    if one and one.cancers and cancer not in one.cancers and synthea:
        return f"Synthea has it for {', '.join(kind for kind in one.cancers if kind != 'male_breast')} only"
    if lacking:
        return f"no {' and no '.join(lacking)}"
    if name in case.late:
        return "recorded only later than the diagnosis and its work-up"
    start = missing_start(reading, patient, case) if one or name.startswith("tx_") else ""
    return start or "not recorded"


def iso_date(day: int) -> str:
    """An ordinal day as ISO 8601 text."""
    return date.fromordinal(day).isoformat()
