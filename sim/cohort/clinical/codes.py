"""What SNOMED, LOINC and RxNorm codes mean in the clinical table, from `datasets/clinical/codes.yaml`."""

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

    columns: tuple[str, ...]  # of sim.cohort.schema.TREATMENTS
    cancers: tuple[str, ...] = ()  # that it treats; empty = any


@dataclass(frozen=True)
class Interpretation:
    """What one observation says."""

    understood: bool
    value: Value | None = None  # None = it says nothing


@dataclass(frozen=True)
class Observation:
    """One column that observations fill."""

    column: str
    when: str  # workup | latest | ever
    loinc: tuple[str, ...]
    snomed: Mapping[str, Value | None]
    texts: Mapping[re.Pattern[str], Value | None]
    units: Mapping[str, float]
    cancers: tuple[str, ...] = ()  # that Synthea records it for; empty = any

    def interpret(self, code: str, text: str, unit: str) -> Interpretation:
        """Meaning of a coded answer, a number with its unit or a display text; empty text stands for what is absent."""
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
        """What is understood, in words."""
        if self.units:
            return f"allowed a number in {' or '.join(self.units)}"
        said = ", ".join(sorted({str(value).lower() for value in self.texts.values() if value is not None}))
        return f"allowed a SNOMED code or a text of datasets/clinical/codes.yaml, which say {said}"


@cache
def table() -> Mapping[str, Any]:
    """The YAML file as it is written."""
    text = (assets.root() / "datasets" / "clinical" / "codes.yaml").read_text(encoding="utf-8")
    made: Mapping[str, Any] = yaml.safe_load(text)
    return made


@cache
def diagnoses() -> Mapping[str, Diagnosis]:
    """SNOMED code -> cancer."""
    return {code: Diagnosis(**entry) for code, entry in table()["diagnoses"].items()}


@cache
def comorbidities() -> Mapping[str, str]:
    """SNOMED code -> column com_..."""
    return {code: column for column, listed in table()["comorbidities"].items() for code in listed}


@cache
def observations() -> Mapping[str, Observation]:
    """LOINC code -> column and how its answers are read."""
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
    """Column -> the observations that fill it."""
    return {one.column: one for one in observations().values()}


@cache
def treatments() -> Mapping[str, Treatment]:
    """SNOMED or RxNorm code -> treatment; the two systems share no code of this table."""
    return {
        code: Treatment(tuple(entry["columns"]), tuple(entry.get("cancers", ())))
        for entry in table()["treatments"]
        for code in (*entry.get("snomed", ()), *entry.get("rxnorm", ()))
    }


def unlisted_cancer(code: str, text: str) -> bool:
    """Whether a condition sounds like a cancer and is none that the table can hold."""
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
