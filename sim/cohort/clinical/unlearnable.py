"""Why an outcome of clinical rows cannot be learned: what Synthea draws it from, or that nobody recorded it.

The law of a module is a fact of the data, not a setting: no option makes a coin predictable. What a plain model can do
on the patients at hand is measured by `sim.analyses.learnable`; this says what to expect, and refuses chance by name.
"""

from collections.abc import Collection, Mapping
from functools import cache

import pandas as pd
import yaml

from sim import assets
from sim.cohort.outcomes import Unlearnable

SYNTHEA = {"engine", "java_csv"}  # values of `source` whose rows Synthea's modules made
RARE = 0.02  # share of rows that must differ from the most frequent value, for a column to tell anything
ABSENT = {
    "survival": "nobody died.",
    "mortality_5y": "it takes patients diagnosed five years before the data end (dx_date), some of whom died.",
    "response": "it is recorded of nobody, or the same of all.",
    "stage": "it is recorded of nobody, or the same of all.",
    "cancer_type": "all patients have the same cancer. Keep several with cohort.cancers.",
}


@cache
def determinants() -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    """`datasets/synthea/determinants.yaml`: cancer -> outcome -> columns, why, measured."""
    text = (assets.root() / "datasets" / "synthea" / "determinants.yaml").read_text(encoding="utf-8")
    laws: Mapping[str, Mapping[str, Mapping[str, object]]] = yaml.safe_load(text)
    return laws


def unlearnable(
    sources: Collection[str], cancers: Collection[str], outcomes: Collection[str]
) -> dict[str, Unlearnable]:
    """Grounds of a cohort of rows from these sources and cancers; an outcome that no law binds has none.

    With several cancers the cancer itself predicts.
    """
    found = {name: Unlearnable((), why) for name, why in ABSENT.items() if name not in outcomes}
    if not set(sources) <= SYNTHEA:
        return found
    for outcome in outcomes:
        laws = [determinants()[cancer][outcome] for cancer in cancers if outcome in determinants().get(cancer, {})]
        if len(laws) < len(cancers):
            continue
        columns = ["cancer_type"] if len(cancers) > 1 else []
        for law in laws:
            listed = law["columns"]
            assert isinstance(listed, list)
            columns += listed
        told = "; ".join(
            f"in Synthea's {cancer}, {law['why']} ({law['measured']})"
            for cancer, law in zip(cancers, laws, strict=True)
        )
        needed = tuple(dict.fromkeys(columns))
        lack = f"Of {', '.join(needed)} none is left to predict and differs between these patients. " if needed else ""
        found[outcome] = Unlearnable(needed, f"{told}. {lack}Choose other patients or another outcome.")
    return found


def varies(column: pd.Series) -> bool:
    """Whether a predictor differs between patients by more than an exception; gaps do not count."""
    given = column.dropna()
    if not len(given):
        return False
    return bool(given.value_counts(normalize=True).iloc[0] <= 1 - RARE)
