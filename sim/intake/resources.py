"""Parts of FHIR R4 resources: days, codes, answers, demographics."""

import re
from collections import Counter
from datetime import date

from sim.checks import Refused
from sim.cohort.clinical.schema import LIFETIMES
from sim.intake import vocabulary as words
from sim.intake.bundles import Json, Resource
from sim.intake.charts import Day, Demographics

VOID = {"entered-in-error", "cancelled", "not-done", "not-taken", "refuted", "draft", "stopped-before-start"}
PARTIAL = re.compile(r"\d{4}(-\d{2})?")  # a year, a month
MIDDLE = {4: "-07-01", 7: "-15"}  # length of a partial birth date -> suffix for the middle of the year or month


def day(text: object) -> Day | None:
    """Day of a FHIR date or instant in its own time zone; None for a partial date. Raises TypeError for other text."""
    written = str(text or "")[:10]
    if not written or PARTIAL.fullmatch(written):
        return None
    try:
        made = date.fromisoformat(written)
    except ValueError:
        raise TypeError(f"{text!r} is no date such as 2019-05-31") from None
    if not LIFETIMES[0] <= made.year <= LIFETIMES[1]:
        raise TypeError(f"{text!r} is no date from {LIFETIMES[0]} to {LIFETIMES[1]}")
    return made.toordinal()


def onset(body: Json) -> Day | None:
    """Day of the onset of a Condition, or else of its recording."""
    onset = body.get("onsetDateTime") or (body.get("onsetPeriod") or {}).get("start")
    return day(onset) or day(body.get("recordedDate"))


def codings(concept: Json | None) -> list[tuple[str, str]]:
    """Codes of a CodeableConcept with their displays; its text replaces a missing display."""
    concept = concept or {}
    text = str(concept.get("text") or "")
    listed = [(str(one.get("code") or ""), str(one.get("display") or text)) for one in concept.get("coding") or []]
    return listed or ([("", text)] if text else [])


def not_performed(body: Json) -> bool:
    """Whether a resource is marked as planned, cancelled or entered in error."""
    verified = {code for code, _ in codings(body.get("verificationStatus"))}
    planned = body.get("doNotPerform") or body.get("intent") in ("proposal", "plan", "option")
    return bool(planned or body.get("status") in VOID or verified & VOID)


def observed_value(body: Json, known: set[str]) -> tuple[str, str, str]:
    """Code, text and unit of the value of an Observation; of several codes a known one."""
    if "valueQuantity" in body:
        quantity = body["valueQuantity"]
        return "", str(quantity.get("value", "")), str(quantity.get("unit") or quantity.get("code") or "")
    if "valueCodeableConcept" in body:
        listed = codings(body["valueCodeableConcept"])
        code, text = next((one for one in listed if one[0] in known), listed[0] if listed else ("", ""))
        return code, text, ""
    return "", str(body.get("valueString") or ""), ""


def demographics(one: Resource, not_understood: Counter[str] | None) -> Demographics:
    """Demographics of a Patient; a birth date without a day is set to the middle of its month or year."""
    body, born = one.body, str(one.body.get("birthDate") or "")
    birth = day(born + MIDDLE.get(len(born), ""))
    if birth is None:
        raise Refused(f"{one.place}: birthDate {born!r}; allowed a date. An age at diagnosis needs one.")
    death = day(body.get("deceasedDateTime"))
    if death is None and (body.get("deceasedBoolean") or body.get("deceasedDateTime")):
        raise Refused(
            f"{one.place}: dead, and no day of death ({body.get('deceasedDateTime') or 'deceasedBoolean'}). "
            "An event needs its time: give deceasedDateTime to the day, or leave the patient out."
        )
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
