"""Meaning of SNOMED, LOINC and RxNorm codes in the clinical table, from `datasets/clinical/codes.yaml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from sim import assets

Value = float | bool | str  # of a cell


@dataclass(frozen=True)
class Diagnosis:
    """A condition that is a cancer."""

    cancer: str
    stage: int | None = None
    histology: str | None = None


@dataclass(frozen=True)
class Treatment:
    """A procedure or drug that treats a cancer."""

    columns: tuple[str, ...]  # of sim.cohort.clinical.schema.TREATMENTS
    cancers: tuple[str, ...] = ()  # that it treats; empty = any


@dataclass(frozen=True)
class Interpretation:
    """Result of reading the answer of an observation."""

    understood: bool
    value: Value | None = None  # None = no information


@dataclass(frozen=True)
class Observation:
    """A column of the table and how observations fill it."""

    column: str
    when: str  # workup | latest | ever
    loinc: tuple[str, ...]
    snomed: Mapping[str, Value | None]
    texts: Mapping[re.Pattern[str], Value | None]
    units: Mapping[str, float]
    cancers: tuple[str, ...] = ()  # that Synthea records it for; empty = any

    def interpret(self, code: str, text: str, unit: str) -> Interpretation:
        """Value of a coded answer, of a number with its unit or of a display text; "" = absent."""
        if code in self.snomed:
            return Interpretation(True, self.snomed[code])
        if self.units:
            try:
                factor = self.units[unit] if unit else 1.0
                return Interpretation(True, float(text) * factor)
            except (KeyError, ValueError):
                return Interpretation(False)
        for pattern, value in self.texts.items():
            if pattern.search(text):
                return Interpretation(True, value)
        return Interpretation(not text and not code)

    @property
    def allowed(self) -> str:
        """Answers that are understood, for a refusal."""
        if self.units:
            return f"allowed a number in {' or '.join(self.units)}"
        said = ", ".join(sorted({str(value).lower() for value in self.texts.values() if value is not None}))
        return f"allowed a SNOMED code or a text of datasets/clinical/codes.yaml, which say {said}"


@cache
def table() -> Mapping[str, Any]:
    """The YAML file, unconverted."""
    text = (assets.root() / "datasets" / "clinical" / "codes.yaml").read_text(encoding="utf-8")
    made: Mapping[str, Any] = yaml.safe_load(text)
    return made


@cache
def diagnoses() -> Mapping[str, Diagnosis]:
    """SNOMED code -> diagnosis."""
    return {code: Diagnosis(**entry) for code, entry in table()["diagnoses"].items()}


@cache
def comorbidities() -> Mapping[str, str]:
    """SNOMED code -> comorbidity column com_..."""
    return {code: column for column, listed in table()["comorbidities"].items() for code in listed}


@cache
def observations() -> Mapping[str, Observation]:
    """LOINC code -> column, and how its answers are read."""
    made: dict[str, Observation] = {}
    for column, entry in table()["observations"].items():
        one = Observation(
            column=column,
            when=entry["when"],
            loinc=tuple(entry["loinc"]),
            snomed=entry.get("snomed", {}),
            texts={re.compile(text, re.IGNORECASE): value for text, value in entry.get("texts", {}).items()},
            units=entry.get("units", {}),
            cancers=tuple(entry.get("cancers", ())),
        )
        made |= dict.fromkeys(one.loinc, one)
    return made


@cache
def columns() -> Mapping[str, Observation]:
    """Column -> how observations fill it."""
    return {one.column: one for one in observations().values()}


@cache
def treatments() -> Mapping[str, Treatment]:
    """SNOMED or RxNorm code -> treatment; no code of this table occurs in both systems."""
    return {
        code: Treatment(tuple(entry["columns"]), tuple(entry.get("cancers", ())))
        for entry in table()["treatments"]
        for code in (*entry.get("snomed", ()), *entry.get("rxnorm", ()))
    }


def unlisted_cancer(code: str, text: str) -> bool:
    """Whether the text of a condition sounds like a cancer whose code the table does not have."""
    if code in diagnoses() or code in table()["not_a_case"]:
        return False
    yes, no = (re.compile(table()[f"looks_like_{word}"], re.I) for word in ("cancer", "none"))
    return bool(yes.search(text)) and not no.search(text)


def cause_of_death_code() -> str:
    """LOINC code of the cause on a death certificate."""
    return str(table()["cause_of_death"]["loinc"])


def died_of(cancer: str, cause: str) -> bool:
    """Whether a cause of death, as a SNOMED code or as text, is this cancer."""
    if cause in diagnoses():
        return diagnoses()[cause].cancer == cancer.removeprefix("male_")
    words = table()["cause_of_death"]
    organ = words["organs"].get(cancer)
    return bool(organ and re.search(words["malignant"], cause, re.I) and re.search(organ, cause, re.I))
