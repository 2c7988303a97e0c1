"""Charts from FHIR R4 resources, by the same codes as from CSV: a first pass for diagnoses, a second for the rest."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from sim.checks import Refused
from sim.cohort.clinical import codes
from sim.intake.bundles import BundleFolder, Json, Resource, key
from sim.intake.charts import Charts, Day, RecordedDiagnosis, group_diagnoses, interpret
from sim.intake.reading import Reading, licence
from sim.intake.resources import codings, day, demographics, not_performed, observed_value, onset
from sim.progress import Watch

TABLES = {  # name of a table in the import -> the FHIR resources
    "patients": "Patient",
    "conditions": "Condition",
    "encounters": "Encounter",
    "observations": "Observation",
    "procedures": "Procedure",
    "medications": "MedicationRequest, -Administration, -Statement",
}
MISSHAPEN = (AttributeError, TypeError, KeyError, IndexError)


def read(bundles: BundleFolder, not_understood: Counter[str] | None, watch: Watch) -> Reading:
    """All records of the patients with a cancer; raises Refused if there are none."""
    found, reasons = diagnoses(bundles, watch)
    second = SecondPass(Charts(not_understood, cases=group_diagnoses(found)), reasons)
    for one in bundles.resources(watch):
        try:
            second.add(one)
        except MISSHAPEN as error:
            raise Refused(misshapen(one, error)) from error
    for patient, at, drug, reason in second.pending:
        if drug in second.drugs:
            second.charts.treat(patient, at, second.drugs[drug], reason)
    charts = second.charts
    for patient, cases in charts.cases.items():
        if patient not in charts.demographics:
            raise Refused(
                f"{cases[0].place}: no Patient {patient!r} in {bundles.folder}. Put its bundle or file there too."
            )
    charts.end = charts.end or max(
        [*charts.first.values(), *(case.day for cases in charts.cases.values() for case in cases)], default=0
    )
    return Reading(
        source="fhir",
        charts=charts,
        patients=len(second.patients),
        rows=dict(second.rows),
        tables=TABLES,
        absent={"income_usd": "FHIR patients have no income"},
        unlisted=second.unlisted,
        licence=licence(bundles.folder),
    )


def misshapen(one: Resource, error: BaseException) -> str:
    """Text of the refusal of a resource that does not follow R4."""
    return f"{one.place}: not in the form of FHIR R4 ({error}). Export it as R4 (exporter.fhir.export = true)."


def diagnoses(folder: BundleFolder, watch: Watch) -> tuple[dict[str, list[RecordedDiagnosis]], dict[str, str]]:
    """Diagnoses of every patient who has one, and the code of each Condition that is a cancer, by its key."""
    found: dict[str, list[RecordedDiagnosis]] = {}
    reasons: dict[str, str] = {}
    for one in folder.resources(watch, re.compile("|".join(codes.diagnoses()))):
        try:
            if one.kind != "Condition" or not_performed(one.body):
                continue
            for code, _ in codings(one.body.get("code")):
                if code in codes.diagnoses():
                    patient, at = one.ref("subject"), onset(one.body)
                    if not patient or at is None:
                        raise Refused(
                            f"{one.place}: a cancer ({code}) without {'a day' if patient else 'subject'}. Fill it in."
                        )
                    reasons[one.key] = code
                    found.setdefault(patient, []).append(RecordedDiagnosis(at, code, one.ref("encounter"), one.place))
        except MISSHAPEN as error:
            raise Refused(misshapen(one, error)) from error
    return found, reasons


@dataclass
class SecondPass:
    """The second pass: every resource is added to its patient's chart."""

    charts: Charts
    reasons: dict[str, str]  # key of a Condition -> its code, cancers only
    patients: set[str] = field(default_factory=set)  # all, with or without a cancer
    rows: Counter[str] = field(default_factory=Counter)
    unlisted: Counter[str] = field(default_factory=Counter)
    drugs: dict[str, str] = field(default_factory=dict)  # key of a Medication -> its code, treatments only
    pending: list[tuple[str, Day, str, str]] = field(default_factory=list)  # patient, day, key of the drug, reason

    def add(self, one: Resource) -> None:
        """Add a resource to its patient's chart."""
        if one.kind == "Medication":
            self.drugs.update(
                (one.key, code) for code, _ in codings(one.body.get("code")) if code in codes.treatments()
            )
        elif one.kind in HANDLERS and not not_performed(one.body):
            table, take = HANDLERS[one.kind]
            self.rows[table] += 1
            take(self, one, one.ref("subject"))

    def patient(self, one: Resource, _: str) -> None:
        """Add the demographics; refuses a second, different copy of a patient."""
        self.patients.add(one.key)
        if one.key not in self.charts.cases:
            return
        found, known = demographics(one, self.charts.not_understood), self.charts.demographics.get(one.key)
        if known and known != replace(found, place=known.place):
            raise Refused(f"{one.place}: the patient of {known.place} again, and not the same. Keep one.")
        self.charts.demographics[one.key] = found

    def condition(self, one: Resource, patient: str) -> None:
        """Add a comorbidity; count a condition that sounds like a cancer but has no known code."""
        for code, text in codings(one.body.get("code")):
            if code in codes.comorbidities():
                self.charts.comorbidity(patient, onset(one.body), codes.comorbidities()[code])
            elif codes.unlisted_cancer(code, text):
                self.unlisted[f"{code} {text}"] += 1

    def encounter(self, one: Resource, patient: str) -> None:
        """Add an encounter; the facility is its service provider."""
        at = day((one.body.get("period") or {}).get("start"))
        self.charts.end = max(self.charts.end, at or 0)
        if patient in self.charts.cases and at:
            self.charts.visit(patient, at, one.key, one.ref("serviceProvider"))

    def observation(self, one: Resource, patient: str) -> None:
        """Add an answer or a cause of death."""
        body = one.body
        at = day(
            body.get("effectiveDateTime") or (body.get("effectivePeriod") or {}).get("start") or body.get("issued")
        )
        if patient not in self.charts.cases or not at:
            return
        self.charts.note_day(patient, at)
        for code, _ in codings(body.get("code")):
            if code == codes.cause_of_death_code():
                self.charts.causes[patient] = next((c or t for c, t in codings(body.get("valueCodeableConcept"))), "")
            elif code in codes.observations():
                asked = codes.observations()[code]
                given, text, unit = observed_value(body, set(asked.snomed))
                value = interpret(asked, given, text, unit, one.place, self.charts.not_understood)
                if value is not None:
                    self.charts.observe(patient, at, asked, value)

    def procedure(self, one: Resource, patient: str) -> None:
        """Add a procedure that treats a cancer."""
        at = day(one.body.get("performedDateTime") or (one.body.get("performedPeriod") or {}).get("start"))
        if patient not in self.charts.cases or not at:
            return
        self.charts.note_day(patient, at)
        self.treat(one, patient, at, codings(one.body.get("code")))

    def medication(self, one: Resource, patient: str) -> None:
        """Add a drug that treats a cancer; one given by reference is pending until all files are read."""
        body = one.body
        period = body.get("effectivePeriod") or {}
        at = day(body.get("authoredOn") or body.get("effectiveDateTime") or period.get("start"))
        if patient not in self.charts.cases or not at:
            return
        self.treat(one, patient, at, codings(body.get("medicationCodeableConcept")))
        for inner in body.get("contained") or []:
            self.treat(
                one, patient, at, codings(inner.get("code")) if inner.get("resourceType") == "Medication" else []
            )
        if body.get("medicationReference"):
            self.pending.append((patient, at, one.ref("medicationReference"), self.reason(body)))

    def treat(self, one: Resource, patient: str, at: Day, listed: list[tuple[str, str]]) -> None:
        """Add those of the codes that treat a cancer."""
        for code, _ in listed:
            if code in codes.treatments():
                self.charts.treat(patient, at, code, self.reason(one.body))

    def reason(self, body: Json) -> str:
        """Code of the cancer that a treatment was given for, "" if it names none."""
        named = [code for concept in body.get("reasonCode") or [] for code, _ in codings(concept)]
        named += [self.reasons.get(key(one.get("reference") or ""), "") for one in body.get("reasonReference") or []]
        return next((code for code in named if code in codes.diagnoses()), "")


HANDLERS = {
    "Patient": ("patients", SecondPass.patient),
    "Condition": ("conditions", SecondPass.condition),
    "Encounter": ("encounters", SecondPass.encounter),
    "Observation": ("observations", SecondPass.observation),
    "Procedure": ("procedures", SecondPass.procedure),
    "MedicationRequest": ("medications", SecondPass.medication),
    "MedicationAdministration": ("medications", SecondPass.medication),
    "MedicationStatement": ("medications", SecondPass.medication),
}
