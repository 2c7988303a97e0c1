"""The user's own map of codes, such as ICD-10, on top of `datasets/clinical/codes.yaml`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sim.checks import Refused, brief, one_of
from sim.cohort.clinical.codes import CodeMap, packaged
from sim.cohort.clinical.schema import TREATMENTS, Column, columns

SECTIONS = ("diagnoses", "not_a_case", "comorbidities", "treatments", "observations")
FORM = "See docs/cohorts.md for the form."

Entries = Mapping[Any, Any]


def with_own_codes(path: Path) -> CodeMap:
    """The packaged codes and those of a YAML file, which win; raises Refused with the entry that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        own = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"--codes {path}: cannot be read ({error}). Name a YAML file in UTF-8.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Refused(f"--codes {path}: not YAML ({' '.join(str(error).split())[:200]}). Correct it.") from None
    own = mapping(own, str(path))
    for section in own:
        one_of(f"--codes {path}: section", str(section), SECTIONS)
    table = dict(packaged().table)
    at = {section: f"{path}, {section}" for section in SECTIONS}
    table["diagnoses"] = table["diagnoses"] | diagnoses(own.get("diagnoses") or {}, at["diagnoses"])
    none = listed(own.get("not_a_case") or [], at["not_a_case"])
    table["not_a_case"] = table["not_a_case"] | dict.fromkeys(none, "named by the user")
    for code in {*none} & {*table["diagnoses"]}:
        if code in (own.get("diagnoses") or {}):
            raise Refused(f"{at['not_a_case']}: {code!r} is also in diagnoses. Keep one.")
        table["diagnoses"].pop(code)
    table["comorbidities"] = comorbidities(own.get("comorbidities") or {}, at["comorbidities"])
    table["treatments"] = [*treatments(own.get("treatments") or [], at["treatments"]), *table["treatments"]]
    table["observations"] = observations(own.get("observations") or {}, at["observations"])
    return CodeMap(table, f"{path.name} (sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]})")


def mapping(value: object, place: str) -> Entries:
    """The value, which must be a mapping."""
    if not isinstance(value, dict):
        raise Refused(f"{place}: {brief(value)}; allowed names with values. {FORM}")
    return value


def listed(value: object, place: str) -> list[str]:
    """A list of codes, as text."""
    if not isinstance(value, list):
        raise Refused(f"{place}: {brief(value)}; allowed a list of codes. {FORM}")
    return [code_text(one, place) for one in value]


def code_text(code: object, place: str) -> str:
    """A code as text; a number with a decimal point has lost its zeros by then."""
    if isinstance(code, bool | float) or not isinstance(code, str | int) or not str(code).strip(" *"):
        raise Refused(f"{place}: {code!r} is not a code. Write codes in quotes, such as '174.9' or 'C50*'.")
    return str(code).strip()


def fields(value: object, place: str, needed: tuple[str, ...], welcome: tuple[str, ...]) -> Entries:
    """The value, which must be a mapping with these fields."""
    made = mapping(value, place)
    for name in made:
        one_of(f"{place}: field", str(name), (*needed, *welcome))
    for name in needed:
        if name not in made:
            raise Refused(f"{place}: no {name}. {FORM}")
    return made


def cancer(name: object, place: str) -> str:
    """A type of cancer; men with breast cancer are recognised by their sex."""
    one_of(f"{place}: cancer", str(name), sorted({*columns()["cancer_type"].allowed} - {"male_breast"}))
    return str(name)


def fitting(column: Column, value: object, place: str) -> object:
    """A value of the column, or null for an answer that says nothing."""
    low, high = column.range or (0.0, 0.0)
    fits = {
        "choice": value in column.allowed,
        "flag": isinstance(value, bool),
        "whole": isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    }
    if value is None or fits.get(column.kind, False):
        return value
    raise Refused(
        f"{place}: {brief(value)} is no {column.name}; {column.bounds}, or null for an answer that is not used."
    )


def diagnoses(own: object, place: str) -> dict[str, dict[str, object]]:
    """Code -> cancer, stage, histology."""
    made: dict[str, dict[str, object]] = {}
    for code, entry in mapping(own, place).items():
        at = f"{place}, {code}"
        given = fields(entry, at, ("cancer",), ("stage", "histology"))
        made[code_text(code, place)] = {"cancer": cancer(given["cancer"], at)} | {
            name: fitting(columns()[name], given[name], at) for name in ("stage", "histology") if name in given
        }
    return made


def comorbidities(own: object, place: str) -> dict[str, list[str]]:
    """Column -> codes, the packaged ones included."""
    made: dict[str, list[str]] = dict(packaged().table["comorbidities"])
    for column, given in mapping(own, place).items():
        one_of(place, str(column), made)
        made[column] = [*made[column], *listed(given, f"{place}, {column}")]
    return made


def treatments(own: object, place: str) -> list[dict[str, object]]:
    """Entries of columns, cancers, codes."""
    if not isinstance(own, list):
        raise Refused(f"{place}: {brief(own)}; allowed a list of entries. {FORM}")
    made: list[dict[str, object]] = []
    for number, entry in enumerate(own, 1):
        at = f"{place}, entry {number}"
        given = fields(entry, at, ("columns", "codes"), ("cancers",))
        names = listed(given["columns"], at)
        for name in names:
            one_of(f"{at}: columns", name, TREATMENTS)
        kinds = [cancer(name, at) for name in listed(given.get("cancers") or [], at)]
        made.append({"columns": names, "cancers": kinds, "codes": listed(given["codes"], at)})
    return made


def observations(own: object, place: str) -> dict[str, Any]:
    """Column -> how observations fill it, the packaged codes, answers and units included."""
    made: dict[str, Any] = dict(packaged().table["observations"])
    for column, entry in mapping(own, place).items():
        one_of(place, str(column), made)
        at, meant, old = f"{place}, {column}", columns()[column], made[column]
        given = fields(entry, at, (), ("codes", "answers", "units"))
        if "answers" in given and old.get("units"):
            raise Refused(f"{at}: has answers, but this column is a number. Give units: their factors to {meant.unit}.")
        if "units" in given and not old.get("units"):
            raise Refused(f"{at}: has units, but this column is not a number. Give answers: code -> value.")
        answers = {
            code_text(code, at): fitting(meant, value, f"{at}, {code}")
            for code, value in mapping(given.get("answers") or {}, at).items()
        }
        units = {
            str(unit): factor(value, f"{at}, {unit}") for unit, value in mapping(given.get("units") or {}, at).items()
        }
        made[column] = old | {
            "loinc": [*old["loinc"], *listed(given.get("codes") or [], at)],
            "snomed": old.get("snomed", {}) | answers,
            "units": old.get("units", {}) | units,
        }
    return made


def factor(value: object, place: str) -> float:
    """A factor from a unit to that of the schema."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise Refused(f"{place}: {brief(value)} is not a factor; allowed a number above 0.")
    return float(value)
