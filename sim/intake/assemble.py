"""The clinical table from charts, with the reason for every gap in it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from sim.checks import Refused
from sim.cohort.clinical import codes
from sim.cohort.clinical.conform import conform
from sim.cohort.clinical.schema import SAME_DAY, TREATMENTS, columns, upper_bound
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.intake.charts import SLACK, Case, Charts
from sim.intake.options import FollowUp
from sim.intake.reading import Reading

SOURCES = {  # treatment -> tables of the export that record it
    "surgery": ("procedures",),
    "radiation": ("procedures",),
    "chemo": ("procedures", "medications"),
    "hormone": ("medications",),
    "targeted": ("medications",),
}
NOT_EXPORTED = {"ses": "no export holds it; income_usd may serve as a proxy", "recurrence": "no Synthea module has it"}
TRUNCATED = "before the records begin (Synthea: export with exporter.years_of_history = 0)"


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
    for patient in sorted(reading.charts.cases):
        for case in reading.charts.cases[patient]:
            cells = row(reading, patient, case, follow_up)
            rows.append(cells)
            for name in columns():
                if cells.get(name) is None and not name.endswith("_days"):
                    reason = reason_for_gap(reading, name, patient, case, str(cells["cancer_type"]))
                    why.setdefault(name, Counter())[reason] += 1
    truncated = sum(
        left_truncated(reading.charts, patient, case)
        for patient, cases in reading.charts.cases.items()
        for case in cases
    )
    return Assembled(conform(pd.DataFrame(rows), "the import"), why, truncated)


def row(reading: Reading, patient: str, case: Case, follow_up: FollowUp) -> dict[str, object]:
    """Cells of one row; None = not recorded."""
    charts = reading.charts
    person = charts.demographics[patient]
    if person.birth > case.day:
        raise Refused(
            f"{case.place}: diagnosis on {iso_date(case.day)}, before the birth on {iso_date(person.birth)} "
            f"({person.place}). Correct one of the two."
        )
    if case.day - person.birth > upper_bound("age_at_dx") * DAYS_PER_YEAR:
        raise Refused(
            f"{case.place}: diagnosis on {iso_date(case.day)}, more than {upper_bound('age_at_dx'):g} years after the "
            f"birth on {iso_date(person.birth)} ({person.place}). Correct one of the two."
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
    for name in codes.table()["comorbidities"]:
        cells[name] = name in known and known[name] <= case.day + SLACK
    for name in TREATMENTS:
        if name in case.treated and not left_truncated(charts, patient, case):
            cells |= {f"tx_{name}": True, f"tx_{name}_days": float(case.treated[name])}
        elif not left_truncated(charts, patient, case) and all(table in reading.rows for table in SOURCES[name]):
            cells[f"tx_{name}"] = False
    if person.death is not None and charts.causes.get(patient):
        cells["death_cause_cancer"] = codes.died_of(case.cancer, charts.causes[patient])
    return cells


def follow_up_days(charts: Charts, patient: str, case: Case, follow_up: FollowUp) -> int:
    """Days from diagnosis to death or to the end of follow-up."""
    person = charts.demographics[patient]
    if person.death is None:
        end = charts.end if follow_up is FollowUp.export else charts.last.get(patient, case.day)
        return max(end - case.day, 0)
    if person.death < case.day - SLACK:
        raise Refused(
            f"{person.place}: death on {iso_date(person.death)}, before the diagnosis on {iso_date(case.day)} "
            f"({case.place}). Correct one of the two, or drop the patient."
        )
    return max(person.death - case.day, 0)


def left_truncated(charts: Charts, patient: str, case: Case) -> bool:
    """Whether the records begin after the diagnosis, so that work-up and treatment may be missing."""
    first = charts.first.get(patient)
    return first is None or first > case.day + SLACK


def reason_for_gap(reading: Reading, name: str, patient: str, case: Case, cancer: str) -> str:
    """Why a cell is empty, for the card."""
    charts, person = reading.charts, reading.charts.demographics[patient]
    one = codes.columns().get(name)
    needs = SOURCES.get(name.removeprefix("tx_"), ("observations",) if one else ())
    needs = ("encounters",) if name == "facility_id" else needs
    lacking = [reading.tables[table] for table in needs if table not in reading.rows]
    if name in reading.absent or name in NOT_EXPORTED:
        return reading.absent.get(name) or NOT_EXPORTED[name]
    if name == "histology" and cancer != "lung":
        return "Synthea has it for lung only"
    if name == "death_cause_cancer":
        return "alive" if person.death is None else "no cause on a death certificate"
    if one and one.cancers and cancer not in one.cancers:
        return f"Synthea has it for {', '.join(kind for kind in one.cancers if kind != 'male_breast')} only"
    if lacking:
        return f"no {' and no '.join(lacking)}"
    if name in case.late:
        return "recorded only later than the diagnosis and its work-up"
    if (one or name.startswith("tx_")) and left_truncated(charts, patient, case):
        return TRUNCATED
    return "not recorded"


def iso_date(day: int) -> str:
    """An ordinal day as ISO 8601 text."""
    return date.fromordinal(day).isoformat()
