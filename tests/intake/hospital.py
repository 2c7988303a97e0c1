"""FHIR as a hospital writes it, for tests: resources of a few patients, and bundles of them."""

from datetime import date

Json = dict
END = date(2020, 2, 2)  # last encounter of anybody
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"


def concept(code: str, system: str = SNOMED, **more: str) -> Json:
    return {"coding": [{"system": system, "code": code, **more}]}


def resource(kind: str, key: str, patient: str = "", **more: object) -> Json:
    subject = {"subject": {"reference": f"Patient/{patient}"}} if patient else {}
    return {"resourceType": kind, "id": key, **subject, **more}


def condition(patient: str, cancer: str = "254837009", **more: object) -> Json:
    given: Json = {
        "code": concept(cancer),
        "onsetDateTime": "2015-05-10",
        "verificationStatus": concept("confirmed", "v"),
    }
    return resource("Condition", f"c-{patient}", patient, **given | more)


def visit(patient: str, day: str, **more: object) -> Json:
    given: Json = {"status": "finished", "period": {"start": f"{day}T09:00:00-04:00"}}
    return resource("Encounter", f"e-{patient}-{day}", patient, **given | more)


def observation(patient: str, code: str, day: str = "2015-05-12", **more: object) -> Json:
    return resource(
        "Observation", f"o-{patient}-{code}-{day}", patient, code=concept(code, LOINC), effectiveDateTime=day, **more
    )


def quantity(value: float, **more: str) -> Json:
    return {"valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", **more}}


def people() -> list[Json]:
    """Two women with breast cancer, ana who lives and bea who dies, and a man with prostate cancer."""
    return [
        resource("Patient", "ana", gender="female", birthDate="1950-03-01"),
        resource("Patient", "bea", gender="female", birthDate="1951-03-02", deceasedDateTime="2017-07-11"),
        resource("Patient", "carl", gender="male", birthDate="1945-01-01"),
        condition("ana"),
        condition("bea"),
        condition("carl", "399068003"),
        *(visit(name, day) for name in ("ana", "bea", "carl") for day in ("2015-05-10", "2015-08-01")),
        visit("ana", END.isoformat()),
    ]


def bundle(resources: list[Json]) -> Json:
    entries = [
        {"fullUrl": f"https://h.example/{one['resourceType']}/{one['id']}", "resource": one} for one in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
