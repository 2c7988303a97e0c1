"""Charts from FHIR R4 resources, by the same codes as from CSV: a first pass for diagnoses, a second for the rest."""

from collections import Counter
from dataclasses import dataclass, field, replace

from sim.cohort.clinical.codes import Diagnosis, Treatment, find
from sim.intake.bundles import BundleFolder, Json, Resource
from sim.intake.charts import Charts, group_diagnoses, interpret
from sim.intake.fhir_diagnoses import MISSHAPEN, diagnoses, misshapen
from sim.intake.reading import Reading, licence
from sim.intake.resources import (
    UNCERTAIN,
    codings,
    dated,
    demographics,
    not_performed,
    observed_value,
    onset,
    verification,
)
from sim.intake.rules import Day, Odd, Rules
from sim.progress import Watch

TABLES = {  # name of a table in the import -> the FHIR resources
    "patients": "Patient",
    "conditions": "Condition",
    "encounters": "Encounter",
    "observations": "Observation",
    "procedures": "Procedure",
    "medications": "MedicationRequest, -Administration, -Statement",
}
SYNTHEA = "synthetichealth/synthea"  # in identifiers that Synthea writes


def read(bundles: BundleFolder, rules: Rules, watch: Watch) -> Reading:
    """All records of the patients with a cancer; raises Refused if there are none."""
    found = diagnoses(bundles, rules, watch)
    second = SecondPass(Charts(rules, cases=group_diagnoses(found.recorded)), found.reasons)
    for one in bundles.resources(watch):
        if one.place not in found.odd:
            second.add(one)
    for patient, at, drug, why in second.pending:
        for what in second.drugs.get(drug, ()):
            second.charts.treat(patient, at, what, why)
    charts = second.charts
    for patient, cases in list(charts.cases.items()):
        if patient in second.odd:
            charts.drop(patient)
        elif patient not in charts.demographics:
            why_not = f"{cases[0].place}: no Patient {patient!r} in {bundles.folder}. Put its bundle or file there too."
            charts.drop(patient, Odd("diagnoses of patients without a record", why_not))
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
        uncertain=found.uncertain,
        partial=found.partial,
        licence=licence(bundles.folder),
    )


@dataclass
class SecondPass:
    """The second pass: every resource is added to its patient's chart."""

    charts: Charts
    reasons: dict[str, Diagnosis]  # key of a Condition that is a cancer -> which
    patients: set[str] = field(default_factory=set)  # all, with or without a cancer
    odd: set[str] = field(default_factory=set)  # patients who cannot be a row
    rows: Counter[str] = field(default_factory=Counter)
    unlisted: Counter[str] = field(default_factory=Counter)
    drugs: dict[str, list[Treatment]] = field(default_factory=dict)  # key of a Medication -> what it treats
    pending: list[tuple[str, Day, str, Diagnosis | None]] = field(default_factory=list)  # day, key of the drug, reason

    def add(self, one: Resource) -> None:
        """Add a resource to its patient's chart, or leave it out where the rules allow that."""
        try:
            self.take(one)
        except (Odd, *MISSHAPEN) as error:
            self.charts.rules.leave_out(error if isinstance(error, Odd) else misshapen(one, error))
            if one.kind == "Patient":
                self.odd.add(one.key)

    def take(self, one: Resource) -> None:
        """Add a resource; raises Odd or one of MISSHAPEN for one that cannot be read."""
        if one.kind == "Medication":
            self.drugs[one.key] = self.treatments(one.body.get("code"))
        elif one.kind in HANDLERS and not not_performed(one.body):
            table, handle = HANDLERS[one.kind]
            self.rows[table] += 1
            handle(self, one, one.ref("subject"))

    def patient(self, one: Resource, _: str) -> None:
        """Add the demographics; refuses a second, different copy of a patient."""
        self.patients.add(one.key)
        if one.key not in self.charts.cases:
            return
        found, known = demographics(one, self.charts.rules), self.charts.demographics.get(one.key)
        if known and known != replace(found, place=known.place):
            raise Odd(
                "patients with two different copies",
                f"{one.place}: the patient of {known.place} again, and not the same. Keep one.",
            )
        self.charts.demographics[one.key] = found
        if any(SYNTHEA in str(name.get("system") or "") for name in one.body.get("identifier") or []):
            self.charts.simulated.add(one.key)

    def condition(self, one: Resource, patient: str) -> None:
        """Add a comorbidity; count a condition that sounds like a cancer and has no known code."""
        if verification(one.body) & UNCERTAIN:
            return
        codes, named = self.charts.rules.codes, codings(one.body.get("code"))
        for code, _ in named:
            column = find(codes.comorbidities, code)
            if column:
                self.charts.comorbidity(patient, dated(onset(one.body), self.charts.rules, one.place), column)
        tables = (codes.comorbidities, codes.diagnoses, codes.table["not_a_case"])
        if not any(find(table, code) is not None for table in tables for code, _ in named):
            sounding = [f"{code} {text}" for code, text in named if codes.unlisted_cancer(code, text)]
            self.unlisted.update(sounding[:1])

    def encounter(self, one: Resource, patient: str) -> None:
        """Add an encounter; the facility is its service provider."""
        at = dated((one.body.get("period") or {}).get("start"), self.charts.rules, one.place)
        self.charts.end = max(self.charts.end, at or 0)
        if patient in self.charts.cases and at:
            self.charts.visit(patient, at, one.key, one.ref("serviceProvider"))
            if SYNTHEA in str((one.body.get("serviceProvider") or {}).get("reference") or ""):
                self.charts.simulated.add(patient)

    def observation(self, one: Resource, patient: str) -> None:
        """Add the answers of an observation and its components, or a cause of death."""
        body, rules = one.body, self.charts.rules
        if patient not in self.charts.cases:
            return
        period = body.get("effectivePeriod") or {}
        at = dated(body.get("effectiveDateTime") or period.get("start") or body.get("issued"), rules, one.place)
        if not at:
            return
        self.charts.note_day(patient, at)
        for part in (body, *(body.get("component") or [])):
            for code, _ in codings(part.get("code")):
                asked = rules.codes.observations.get(code)
                if code == rules.codes.cause_of_death:
                    cause = next((c or t for c, t in codings(part.get("valueCodeableConcept"))), "")
                    self.charts.causes[patient] = cause
                elif asked:
                    value = interpret(asked, *observed_value(part, asked), one.place, rules.not_understood)
                    if value is not None:
                        self.charts.observe(patient, at, asked, value)

    def procedure(self, one: Resource, patient: str) -> None:
        """Add a procedure that treats a cancer."""
        if patient not in self.charts.cases:
            return
        begun = one.body.get("performedDateTime") or (one.body.get("performedPeriod") or {}).get("start")
        at = dated(begun, self.charts.rules, one.place)
        if at:
            self.charts.note_day(patient, at)
            self.treat(one, patient, at, one.body.get("code"))

    def medication(self, one: Resource, patient: str) -> None:
        """Add a drug that treats a cancer; one given by reference is pending until all files are read."""
        body = one.body
        if patient not in self.charts.cases:
            return
        period = body.get("effectivePeriod") or {}
        at = dated(
            body.get("authoredOn") or body.get("effectiveDateTime") or period.get("start"), self.charts.rules, one.place
        )
        if not at:
            return
        self.charts.note_contact(patient, at)
        self.treat(one, patient, at, body.get("medicationCodeableConcept"))
        for inner in body.get("contained") or []:
            self.treat(one, patient, at, inner.get("code") if inner.get("resourceType") == "Medication" else None)
        if body.get("medicationReference"):
            self.pending.append((patient, at, one.ref("medicationReference"), self.reason(one)))

    def treatments(self, concept: Json | None) -> list[Treatment]:
        """What the codes of a procedure or drug treat."""
        found = (find(self.charts.rules.codes.treatments, code) for code, _ in codings(concept))
        return [what for what in found if what]

    def treat(self, one: Resource, patient: str, at: Day, concept: Json | None) -> None:
        """Add those of the codes that treat a cancer."""
        for what in self.treatments(concept):
            self.charts.treat(patient, at, what, self.reason(one))

    def reason(self, one: Resource) -> Diagnosis | None:
        """The cancer that a treatment was given for, None if it names none."""
        listed = [code for concept in one.body.get("reasonCode") or [] for code, _ in codings(concept)]
        named = [self.charts.rules.codes.diagnosis(code) for code in listed]
        named += [self.reasons.get(one.resolve(reference)) for reference in one.body.get("reasonReference") or []]
        return next((what for what in named if what), None)


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
