"""A simulated person as a row of the clinical table.

The package is not needed to convert a person: the protocols below list all that is read of its objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from sim.cohort.clinical.codes import Diagnosis, Observation, Value, packaged
from sim.cohort.clinical.schema import SAME_DAY, TREATMENTS
from sim.cohort.outcomes import DAYS_PER_YEAR

ADULT = 18  # years; the breast module also gives cancer to children
WORKUP = range(-1, 184)  # days from the diagnosis in which findings of the work-up are recorded
DEATH_MODULE = "death_scheduled_by"  # attribute that engine.py adds: the module that set `death_time`
WORDS = {"M": "male", "F": "female", "non_hispanic": "nonhispanic"}
TNM = {"t": "T", "n": "N", "m": "M"}

Row = dict[str, Value | date | None]


class Coded(Protocol):
    """A code of SNOMED, LOINC or RxNorm."""

    code: str | int


class Provider(Protocol):
    """A facility."""

    id: str


class Encounter(Protocol):
    """A visit."""

    provider: Provider | None


class Entry(Protocol):
    """A condition, procedure or drug."""

    time: datetime
    codes: Sequence[Coded]
    encounter: Encounter | None


class Measured(Entry, Protocol):
    """An observation; the value is a number, a text or a code."""

    value: object
    unit: str | None


class HealthRecord(Protocol):
    """All records of a person."""

    conditions: Sequence[Entry]
    procedures: Sequence[Entry]
    medications: Sequence[Entry]
    observations: Sequence[Measured]


class SimulatedPerson(Protocol):
    """A simulated person."""

    attributes: Mapping[str, object]
    record: HealthRecord | None


def row(person: SimulatedPerson, cancer: str, patient: str, end: datetime) -> Row | None:
    """The patient's row as of the first diagnosis of this cancer; None without one in adulthood.

    `end` is the day the simulation stops. Days are calendar days. Raises ValueError for an answer that
    datasets/clinical/codes.yaml does not have.
    """
    record, about = person.record, person.attributes
    assert record is not None
    cases = [(entry, meant) for entry, meant in cancers(record.conditions) if meant.cancer == cancer]
    if not cases:
        return None
    case, meant = min(cases, key=lambda found: found[0].time)
    day = case.time.date()
    age = (day - time_attribute(about, "birth_date").date()).days / DAYS_PER_YEAR
    if age < ADULT or case.time > end:
        return None
    made: Row = {
        "patient_id": patient,
        "source": "engine",
        "cancer_type": cancer,
        "dx_date": day,
        "age_at_dx": age,
        "sex": word_attribute(about, "gender"),
        "race": word_attribute(about, "race"),
        "ethnicity": word_attribute(about, "ethnicity"),
        "state": word_attribute(about, "state"),
        "city": word_attribute(about, "city"),
        "facility_id": facility(case, about),
        "ses": word_attribute(about, "socioeconomic_status"),
        "smoking": "never" if about.get("quit smoking age") is None and not about.get("smoker") else "ever",
        "histology": meant.histology,
    }
    made |= found_at_workup([(entry, meant) for entry, meant in cases if meant.stage], day)
    made |= observed(record.observations, day)
    made |= known_conditions(record.conditions, day)
    made |= treated([*record.procedures, *record.medications], cancer, day)
    succeeded = about.get(f"{cancer}_cancer_survival")  # the breast module alone sets it, to "yes" or "no"
    return made | {"response": None if succeeded is None else succeeded == "yes"} | follow_up(about, cancer, day, end)


def time_attribute(about: Mapping[str, object], name: str) -> datetime:
    """A time among the attributes."""
    value = about[name]
    assert isinstance(value, datetime), name
    return value


def word_attribute(about: Mapping[str, object], name: str) -> str:
    """A word among the attributes, in the spelling of schema.yaml."""
    value = str(about[name])
    return WORDS.get(value, value)


def code_of(entry: Entry) -> str:
    """First code of an entry as text, "" if it has none; the package stores some as numbers."""
    return str(entry.codes[0].code) if entry.codes else ""


def cancers(conditions: Sequence[Entry]) -> Iterator[tuple[Entry, Diagnosis]]:
    """Conditions that are a cancer, with their meaning."""
    known = packaged().diagnoses
    return ((entry, known[code_of(entry)]) for entry in conditions if code_of(entry) in known)


def facility(case: Entry, about: Mapping[str, object]) -> str:
    """Facility of the diagnosis; the patient's own practice if there was no encounter before death."""
    at = case.encounter.provider if case.encounter else about.get("primary_care_provider")
    return str(getattr(at, "id", "")) or "unknown"


def days(entry: Entry, day: date) -> int:
    """Days from the diagnosis on `day` to an entry."""
    return (entry.time.date() - day).days


def found_at_workup(staged: Sequence[tuple[Entry, Diagnosis]], day: date) -> Row:
    """Stage, where a condition has it: colorectal at diagnosis, lung some days later."""
    known = [(entry.time, meant.stage) for entry, meant in staged if days(entry, day) in WORKUP]
    return {"stage": min(known)[1]} if known else {}


def observed(written: Sequence[Measured], day: date) -> Row:
    """Columns that observations fill: the first day's answer of the work-up, else the last up to diagnosis."""
    kept: dict[str, tuple[int, Value]] = {}
    columns = packaged().observations
    for entry in sorted(written, key=lambda entry: entry.time):
        column = columns.get(code_of(entry))
        if column is None or column.when == "ever":
            continue
        at = days(entry, day)
        first, _ = kept.get(column.column, (at, None))
        if (at in WORKUP and at == first) if column.when == "workup" else at <= 0:
            value = interpreted(column, entry)
            if value is not None:
                kept[column.column] = (at, value)
    return {name: value for name, (_, value) in kept.items()}


def interpreted(column: Observation, entry: Measured) -> Value | None:
    """Value of an observation; raises ValueError for an answer that is not in the table of codes."""
    code = getattr(entry.value, "code", "")
    text = "" if code or entry.value is None else str(entry.value)
    read = column.interpret(str(code), text, entry.unit or "")
    if not read.understood:
        raise ValueError(f"{column.column} ({code_of(entry)}): {entry.value!r} {entry.unit}: {column.allowed}")
    return read.value


def known_conditions(conditions: Sequence[Entry], day: date) -> Row:
    """Comorbidities known on the day of diagnosis; no module that runs records obesity."""
    table = packaged().comorbidities
    had = {table.get(code_of(entry)) for entry in conditions if days(entry, day) <= 0}
    return {column: column in had for column in dict.fromkeys(table.values()) if column != "com_obesity"}


def treated(given: Sequence[Entry], cancer: str, day: date) -> Row:
    """Treatments from the day of diagnosis on: whether each kind was given, and the day of the first."""
    table, first = packaged().treatments, dict[str, int]()
    for entry in given:
        what = table.get(code_of(entry))
        if what and days(entry, day) >= 0 and (not what.cancers or cancer in what.cancers):
            for kind in what.columns:
                first[kind] = min(first.get(kind, days(entry, day)), days(entry, day))
    made: Row = {}
    for kind in TREATMENTS:
        made |= {f"tx_{kind}": kind in first, f"tx_{kind}_days": float(first[kind]) if kind in first else None}
    return made


def follow_up(about: Mapping[str, object], cancer: str, day: date, end: datetime) -> Row:
    """Death or end of follow-up; this cancer is the cause if its module set the time of the death."""
    died = about.get("death_date") is not None
    last = time_attribute(about, "death_date") if died else end
    by_cancer = about.get("death_time") == last and about.get(DEATH_MODULE) == f"{cancer}_cancer"
    return {
        "time_years": max(float((last.date() - day).days), SAME_DAY) / DAYS_PER_YEAR,
        "event": died,
        "death_cause_cancer": by_cancer if died else None,
    }
