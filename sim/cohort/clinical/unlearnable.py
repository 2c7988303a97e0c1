"""Why an outcome of the clinical table cannot be learned: Synthea draws it at random, or nobody recorded it.

How a Synthea module draws an outcome is a fact of the data that no setting changes. `sim.analyses.learnable` measures
what a plain model learns from the patients at hand; this file says what to expect, and why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

import yaml

from sim import assets
from sim.cohort.outcomes import Unlearnable
from sim.lazy import pd

SYNTHEA = {"engine", "java_csv"}  # values of `source` whose rows were simulated by Synthea's modules
RARE = 0.02  # least share of rows that differ from the most frequent value, for a column to be informative
ABSENT = {
    "survival": "nobody died.",
    "mortality_5y": "it takes patients diagnosed five years before the data end (dx_date), some of whom died.",
    "response": "it is recorded for nobody, or the same for all.",
    "stage": "it is recorded for nobody, or the same for all.",
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
    """Outcomes that rows of these sources and cancers cannot teach: absent ones, and those that Synthea draws.

    The latter carry the columns that they depend on; with several cancers the cancer itself is one. An outcome without
    an entry in determinants.yaml for every cancer is left out, and so are all if any source is not Synthea.
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
        reasons = "; ".join(
            f"in Synthea's {cancer}, {law['why']} ({law['measured']})"
            for cancer, law in zip(cancers, laws, strict=True)
        )
        needed = tuple(dict.fromkeys(columns))
        lack = f"Of {', '.join(needed)} none is left to predict and differs between these patients. " if needed else ""
        found[outcome] = Unlearnable(needed, f"{reasons}. {lack}Choose other patients or another outcome.")
    return found


def varies(column: pd.Series) -> bool:
    """Whether at least RARE of the recorded values of a predictor differ from the most frequent one."""
    given = column.dropna()
    if not len(given):
        return False
    return bool(given.value_counts(normalize=True).iloc[0] <= 1 - RARE)
