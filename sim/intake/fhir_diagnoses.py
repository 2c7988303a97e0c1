"""The first pass over FHIR resources: the Conditions that are a cancer."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from sim.cohort.clinical.codes import Diagnosis
from sim.intake.bundles import BundleFolder, Json, Resource
from sim.intake.charts import RecordedDiagnosis, interpret
from sim.intake.resources import (
    UNCERTAIN,
    answer,
    codings,
    dated,
    first_day,
    not_performed,
    onset,
    partial,
    release,
    verification,
)
from sim.intake.rules import Odd, Rules
from sim.progress import Watch

MISSHAPEN = (AttributeError, TypeError, KeyError, IndexError)  # errors of reading a resource that does not follow R4


@dataclass
class FoundDiagnoses:
    """What the first pass finds."""

    recorded: dict[str, list[RecordedDiagnosis]] = field(default_factory=dict)  # patient -> diagnoses
    reasons: dict[str, Diagnosis] = field(default_factory=dict)  # key of a Condition -> its cancer
    uncertain: Counter[str] = field(default_factory=Counter)  # verificationStatus -> cancers that may be none
    odd: set[str] = field(default_factory=set)  # places of Conditions that are left out and counted
    partial: int = 0  # diagnoses with a year or a month alone


def diagnoses(folder: BundleFolder, rules: Rules, watch: Watch) -> FoundDiagnoses:
    """Diagnoses of every patient who has one."""
    found = FoundDiagnoses()
    written = re.compile("|".join(re.escape(code.removesuffix("*")) for code in rules.codes.diagnoses))
    for one in folder.resources(watch, written):
        if one.kind == "Condition":
            try:
                add(found, one, rules)
            except (Odd, *MISSHAPEN) as error:
                rules.leave_out(error if isinstance(error, Odd) else misshapen(one, error))
                found.odd.add(one.place)
    return found


def add(found: FoundDiagnoses, one: Resource, rules: Rules) -> None:
    """Add a Condition if it is a cancer; raises Odd for one without a patient or a day."""
    cancers = [(code, rules.codes.diagnosis(code)) for code, _ in codings(one.body.get("code"))]
    older = release(one.body)
    if older and any(what for _, what in cancers):
        why = f"{one.place}: this is FHIR {older}, and R4 is read. Export it as R4, or convert it."
        raise Odd(f"Conditions of FHIR {older}", why)
    if not_performed(one.body):
        return
    for code, what in cancers:
        if what is None:
            continue
        doubt = verification(one.body) & UNCERTAIN
        if doubt:
            found.uncertain[doubt.pop()] += 1
            return
        patient, when = one.ref("subject"), onset(one.body)
        at = dated(when, rules, one.place)
        if not patient or at is None:
            lacking = "a day" if patient else "subject"
            raise Odd(f"diagnoses without {lacking}", f"{one.place}: a cancer ({code}) without {lacking}. Fill it in.")
        if patient.startswith("#"):
            raise Odd(
                "diagnoses whose patient is contained in them",
                f"{one.place}: its Patient {patient!r} is contained in it, so that no other record can name it. "
                "Export patients as resources of their own.",
            )
        place, early = one.place, 0
        if partial(when):
            found.partial += 1
            place, early = f"{one.place} (recorded as {when}, taken as the middle)", at - first_day(when)
        found.reasons[one.key] = what
        staged = what if what.stage else replace(what, stage=stage(one, rules))
        found.recorded.setdefault(patient, []).append(RecordedDiagnosis(at, staged, one.ref("encounter"), place, early))


def stage(one: Resource, rules: Rules) -> int | None:
    """Stage group that a Condition itself gives, None if it gives none."""
    asked = rules.codes.columns["stage"]
    for entry in one.body.get("stage") or []:
        kinds = (rules.codes.observations.get(code) for code, _ in codings(entry.get("type")))
        if all(kind is None or kind is asked for kind in kinds):
            summary: Json = entry.get("summary") or {}
            value = interpret(asked, *answer(summary, asked), "", f"{one.place}, stage", rules.not_understood)
            if value is not None:
                return int(value)
    return None


def misshapen(one: Resource, error: BaseException) -> Odd:
    """A resource that does not follow R4."""
    older = release(one.body)
    seems = f" It looks like {older}: convert it." if older else ""
    return Odd(
        f"{one.kind} not in the form of FHIR R4",
        f"{one.place}: not in the form of FHIR R4 ({error}).{seems} Export it as R4 (exporter.fhir.export = true).",
    )
