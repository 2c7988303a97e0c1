"""Meaning of SNOMED, LOINC and RxNorm codes in the clinical table, from `datasets/clinical/codes.yaml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, TypeVar

import yaml

from sim import assets

Value = float | bool | str  # of a cell
Meaning = TypeVar("Meaning")


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
    coded: Mapping[re.Pattern[str], Value | None] = field(default_factory=dict)  # codes that a pattern describes

    def interpret(self, code: str, text: str, unit: str) -> Interpretation:
        """Value of a coded answer, of a number with its unit or of a display text; "" = absent."""
        if code in self.snomed:
            return Interpretation(True, self.snomed[code])
        if not text and not code:
            return Interpretation(True)
        if self.units:
            try:
                factor = self.factor(unit) if unit else 1.0
                return Interpretation(True, float(text) * factor)
            except (KeyError, ValueError):
                return Interpretation(False)
        for patterns, written in ((self.texts, text), (self.texts, code), (self.coded, code), (self.coded, text)):
            for pattern, value in patterns.items():
                if pattern.search(written):
                    return Interpretation(True, value)
        return Interpretation(False)

    def factor(self, unit: str) -> float:
        """Factor to the unit of the schema; raises KeyError for another unit."""
        if unit in self.units:
            return self.units[unit]
        spelt = unit.translate({ord("^"): None, ord("\u00b2"): "2", ord("\u00b5"): "u", ord("\u03bc"): "u"})
        return self.units[re.sub(r"l\b", "L", spelt)]  # UCUM has both ml and mL

    @property
    def allowed(self) -> str:
        """Answers that are understood, for a refusal."""
        if self.units:
            return f"allowed a number in {' or '.join(self.units)}"
        said = ", ".join(sorted({str(value).lower() for value in self.texts.values() if value is not None}))
        return f"allowed a SNOMED code or a text of datasets/clinical/codes.yaml, which say {said}"


@dataclass(frozen=True)
class CodeMap:
    """Codes and their meaning, from a table in the form of codes.yaml.

    A code that ends in `*` matches all codes that start with it; the longest match is used. Codes of different systems
    share one table: none occurs in two.
    """

    table: Mapping[str, Any]
    own: str = ""  # name and fingerprint of the user's file among its sources

    @cached_property
    def diagnoses(self) -> Mapping[str, Diagnosis]:
        """Code of a condition -> diagnosis."""
        return {code: Diagnosis(**entry) for code, entry in self.table["diagnoses"].items()}

    @cached_property
    def comorbidities(self) -> Mapping[str, str]:
        """Code of a condition -> comorbidity column com_..."""
        return {code: column for column, listed in self.table["comorbidities"].items() for code in listed}

    @cached_property
    def observations(self) -> Mapping[str, Observation]:
        """LOINC code -> column, and how its answers are read."""
        made: dict[str, Observation] = {}
        for column, entry in self.table["observations"].items():
            one = Observation(
                column=column,
                when=entry["when"],
                loinc=tuple(entry["loinc"]),
                snomed=entry.get("snomed", {}),
                texts=patterns(entry.get("texts", {})),
                units=entry.get("units", {}),
                cancers=tuple(entry.get("cancers", ())),
                coded=patterns(entry.get("coded", {})),
            )
            made |= dict.fromkeys(one.loinc, one)
        return made

    @cached_property
    def columns(self) -> Mapping[str, Observation]:
        """Column -> how observations fill it."""
        return {one.column: one for one in self.observations.values()}

    @cached_property
    def treatments(self) -> Mapping[str, Treatment]:
        """Code of a procedure or drug -> treatment."""
        return {
            code: Treatment(tuple(entry["columns"]), tuple(entry.get("cancers", ())))
            for entry in self.table["treatments"]
            for code in (*entry.get("snomed", ()), *entry.get("rxnorm", ()), *entry.get("codes", ()))
        }

    def diagnosis(self, code: str) -> Diagnosis | None:
        """The cancer of a code; None for another code. A code listed in not_a_case does not match by its prefix."""
        if code not in self.diagnoses and find(self.table["not_a_case"], code) is not None:
            return None
        return find(self.diagnoses, code)

    @property
    def cause_of_death(self) -> str:
        """LOINC code of the cause on a death certificate."""
        return str(self.table["cause_of_death"]["loinc"])

    def unlisted_cancer(self, code: str, text: str) -> bool:
        """Whether the text of a condition sounds like a cancer whose code the table does not have."""
        if self.diagnosis(code) or find(self.table["not_a_case"], code) is not None:
            return False
        yes, no = (re.compile(self.table[f"looks_like_{word}"], re.I) for word in ("cancer", "none"))
        return bool(yes.search(text)) and not no.search(text)

    def died_of(self, cancer: str, cause: str) -> bool | None:
        """Whether a cause of death, as a code or as text, is this cancer; None if the table has no words for it."""
        named = self.diagnosis(cause)
        if named:
            return named.cancer == cancer.removeprefix("male_")
        words = self.table["cause_of_death"]
        organ = words["organs"].get(cancer)
        if organ is None:
            return None
        return bool(re.search(words["malignant"], cause, re.I) and re.search(organ, cause, re.I))


def find(table: Mapping[str, Meaning], code: str) -> Meaning | None:
    """Meaning of a code in a table whose keys may end in `*`; None if it has none."""
    if code in table:
        return table[code]
    begun = (f"{code[:length]}*" for length in range(len(code), 0, -1))
    return next((table[start] for start in begun if start in table), None)


def patterns(listed: Mapping[str, Value | None]) -> Mapping[re.Pattern[str], Value | None]:
    """The patterns compiled, whatever the case."""
    return {re.compile(text, re.IGNORECASE): value for text, value in listed.items()}


@cache
def packaged() -> CodeMap:
    """The codes of `datasets/clinical/codes.yaml`."""
    text = (assets.root() / "datasets" / "clinical" / "codes.yaml").read_text(encoding="utf-8")
    return CodeMap(yaml.safe_load(text))
