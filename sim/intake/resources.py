"""Parts of FHIR R4 resources: days, codes, answers, demographics."""

import re
from datetime import date

from sim.cohort.clinical.codes import Observation
from sim.cohort.clinical.schema import LIFETIMES
from sim.intake import vocabulary as words
from sim.intake.bundles import Json, Resource
from sim.intake.charts import Demographics
from sim.intake.rules import Day, Odd, Rules

VOID = {  # statuses of what did not happen, or has not happened yet
    *("entered-in-error", "cancelled", "not-done", "not-taken", "refuted", "draft", "stopped-before-start"),
    *("planned", "preparation", "intended", "proposed", "pending", "booked"),
}
UNCERTAIN = {"unconfirmed", "provisional", "differential"}  # verificationStatus of a Condition that may be none
PARTIAL = re.compile(r"\d{4}(-\d{2})?")  # a year, a month
MIDDLE = {4: "-07-01", 7: "-15"}  # length of a partial date -> suffix for the middle of the year or month
UCUM = "unitsofmeasure.org"
ABSENT = ("data-absent-reason", "v3-NullFlavor")  # ends of code systems whose codes say why there is no value


def day(text: object) -> Day | None:
    """Day of a FHIR date or instant in its own time zone, the middle of a year or month; None = no text.

    Raises TypeError for other text.
    """
    written = str(text or "")[:10]
    if not written:
        return None
    try:
        made = date.fromisoformat(written + MIDDLE[len(written)] if PARTIAL.fullmatch(written) else written)
    except ValueError:
        raise TypeError(f"{text!r} is no date such as 2019-05-31") from None
    if not LIFETIMES[0] <= made.year <= LIFETIMES[1]:
        raise TypeError(f"{text!r} is no date from {LIFETIMES[0]} to {LIFETIMES[1]}")
    return made.toordinal()


def dated(text: object, rules: Rules, place: str) -> Day | None:
    """`day` of a record; a year or month that the export ends in counts up to that end, a later day raises Odd."""
    found = day(text)
    if found is not None and partial(text) and found > rules.until >= first_day(text):
        return rules.until
    return rules.known_day(found, place)


def partial(text: object) -> bool:
    """Whether a date is a year or a month alone."""
    return bool(PARTIAL.fullmatch(str(text or "")))


def first_day(text: object) -> Day:
    """First day of a year or month."""
    return date.fromisoformat(f"{text}-01-01"[:10]).toordinal()


def onset(body: Json) -> str:
    """Date of the onset of a Condition, or else of its recording, as written; "" = neither.

    A condition recorded in the year or month of its onset has the day of recording.
    """
    begun = str(body.get("onsetDateTime") or (body.get("onsetPeriod") or {}).get("start") or "")
    recorded = str(body.get("recordedDate") or "")
    if partial(begun) and recorded.startswith(begun):
        return recorded
    return begun or recorded


def codings(concept: Json | None) -> list[tuple[str, str]]:
    """Codes of a CodeableConcept with their displays; its text replaces a missing display."""
    concept = concept or {}
    text = str(concept.get("text") or "")
    listed = [(str(one.get("code") or ""), str(one.get("display") or text)) for one in concept.get("coding") or []]
    return listed or ([("", text)] if text else [])


def not_performed(body: Json) -> bool:
    """Whether a resource is marked as planned, cancelled or entered in error."""
    planned = body.get("doNotPerform") or body.get("intent") in ("proposal", "plan", "option")
    return bool(planned or body.get("status") in VOID or verification(body) & VOID)


def verification(body: Json) -> set[str]:
    """Codes of a Condition's verificationStatus."""
    return {code for code, _ in codings(body.get("verificationStatus"))}


def observed_value(body: Json, asked: Observation) -> tuple[str, str, str]:
    """Code, text and unit of the value of an Observation or component; of several codes a known one; "" = absent."""
    if "valueQuantity" in body:
        quantity = body["valueQuantity"]
        value = "" if quantity.get("value") is None else str(quantity["value"])
        code, unit = str(quantity.get("code") or ""), str(quantity.get("unit") or "")
        ucum = UCUM in str(quantity.get("system") or "") or code in asked.units
        return "", f"{quantity.get('comparator') or ''} {value}".strip(), (code if code and ucum else unit or code)
    if "valueCodeableConcept" in body:
        return *answer(body["valueCodeableConcept"], asked), ""
    written = body.get("valueString", body.get("valueInteger"))
    other = next((name for name in body if name.startswith("value") and name[5:6].isupper()), "")
    return "", (other if written is None else str(written)), ""


def answer(concept: Json, asked: Observation) -> tuple[str, str]:
    """Code and text of a coded answer; of several codes a known one; "" for one that says why there is none."""
    listed = concept.get("coding") or []
    if any(str(one.get("system") or "").endswith(ABSENT) for one in listed):
        return "", ""
    named = codings(concept)
    return next((one for one in named if one[0] in asked.snomed), named[0] if named else ("", ""))


def release(body: Json) -> str:
    """Release of FHIR that a resource seems to be of, "" if it may be R4."""
    if "subject" not in body and isinstance(body.get("patient"), dict):
        return "DSTU2"
    if isinstance(body.get("verificationStatus"), str) or isinstance(body.get("clinicalStatus"), str):
        return "DSTU2 or STU3"
    return "STU3" if "assertedDate" in body else ""


def demographics(one: Resource, rules: Rules) -> Demographics:
    """Demographics of a Patient; raises Odd for one without a birth date, or dead without a day."""
    not_understood, body, born = rules.not_understood, one.body, str(one.body.get("birthDate") or "")
    birth = dated(born, rules, one.place)
    if birth is None:
        raise Odd(
            "patients without birthDate",
            f"{one.place}: birthDate {born!r}; allowed a date. An age at diagnosis needs one.",
        )
    died = body.get("deceasedDateTime")
    if partial(died) or (not died and body.get("deceasedBoolean")):
        raise Odd(
            "patients without a day of death",
            f"{one.place}: dead, and no day of death ({died or 'deceasedBoolean'}). "
            "An event needs its time: give deceasedDateTime to the day, or leave the patient out.",
        )
    death = dated(died, rules, one.place)
    address = (body.get("address") or [{}])[0]
    race, ethnicity = extension(body, "us-core-race"), extension(body, "us-core-ethnicity")
    return Demographics(
        birth=birth,
        death=death,
        sex=words.sex(str(body.get("gender") or ""), f"{one.place}, gender", not_understood),
        race=words.race(race, f"{one.place}, race", not_understood),
        ethnicity=words.ethnicity(ethnicity, "", f"{one.place}, ethnicity", not_understood),
        state=str(address.get("state") or ""),
        city=str(address.get("city") or ""),
        county=str(address.get("district") or ""),
        income_usd=None,
        place=one.place,
    )


def extension(body: Json, name: str) -> str:
    """Value of the US Core extension of race or ethnicity: its category, `other` for several, or else its text."""
    for outer in body.get("extension") or []:
        if str(outer.get("url", "")).endswith(name):
            inner = outer.get("extension") or []
            listed = [one["valueCoding"].get("display", "") for one in inner if one.get("url") == "ombCategory"]
            text = next((one.get("valueString", "") for one in inner if one.get("url") == "text"), "")
            return "other" if len(listed) > 1 else str(listed[0] if listed else text)
    return ""
