"""Outcomes of the calibrated cohort, and the predictors of each that do not leak it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sim.cohort.calibrated.published import Law
from sim.cohort.clinical.mortality import YEARS, dead_by
from sim.cohort.outcomes import DAYS_PER_YEAR, Binary, Categorical, Outcome, Survival, Unlearnable
from sim.lazy import pd

KNOWN = ("cancer", "age_years", "male", "race", "insurance", "stage", "frail", "marker_1", "marker_2", "score_z")
TREATMENT = ("treated", "treated_marker")
ANY_CANCER = (
    "age_years",
    "race",
    "insurance",
    "frail",
)  # neither tied to the sex nor of a different meaning in every cancer


def add_outcomes(table: pd.DataFrame, law: Law, mature_years: float) -> tuple[pd.DataFrame, dict[str, Outcome]]:
    """The table with the columns of its outcomes added, and the outcomes; those that do not vary are left out."""
    could_be_seen = np.full(len(table), mature_years >= YEARS)
    died = dead_by(table["time_days"], table["died"], YEARS * DAYS_PER_YEAR, could_be_seen)
    made = {"mortality_5y": died} if died.notna().any() else {}
    if not law.staged.all():
        made["staged"] = table["stage"].where(law.staged[table["cancer"].cat.codes.to_numpy()])
    table = table.assign(**made)
    label = "stage" if law.staged.all() else "staged"
    outcomes: dict[str, Outcome] = {"response": Binary("response"), "survival": Survival("time_days", "died")}
    if table["hidden_cause_cancer"].any():
        outcomes["survival_cancer"] = Survival("time_days", "hidden_cause_cancer")
    varying: dict[str, Binary | Categorical] = {
        "mortality_5y": Binary("mortality_5y"),
        "stage": Categorical(label),
        "cancer_type": Categorical("cancer"),
    }
    return table, outcomes | {
        name: outcome
        for name, outcome in varying.items()
        if outcome.label in table and table[outcome.label].nunique() >= 2
    }


def predictors(law: Law, outcome: str, genes: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns known when treatment starts, without those that are constant for these cancers.

    Response is observed later, so it is no predictor. Treatment follows the stage and is no predictor of it. The cancer
    is predicted from ANY_CANCER alone, as the sex and columns whose meaning depends on the cancer would leak it.
    """
    constant = {"cancer"} if len(law.names) == 1 else set()
    if np.all(law.male == law.male[0]) and law.male[0] in (0, 1):
        constant.add("male")
    if not law.staged.any():
        constant.add("stage")
    if outcome == "cancer_type":
        return ANY_CANCER
    without = tuple(name for name in KNOWN if name != "stage")
    asked = without if outcome == "stage" else (*KNOWN, *TREATMENT, *genes)
    return tuple(name for name in asked if name not in constant)


def unlearnable(law: Law, outcomes: Mapping[str, Outcome]) -> dict[str, Unlearnable]:
    """Outcomes that this cohort lacks, with the reason and the remedy."""
    why = {
        "survival_cancer": "nobody is recorded as dead from the cancer. Raise cohort.patients.",
        "mortality_5y": "the data end with accrual, so few could have been followed for five years, and to learn from "
        "those of whom it is known would be to select the dead. Set cohort.mature_years=5, or take task=hazard.",
        "stage": f"{', '.join(law.names)}: not staged, or all alike. Name a staged cancer, cohort.cancers=[lung].",
        "cancer_type": f"all patients have {law.names[0]}. Name several, cohort.cancers=[lung,colorectal,pancreas].",
    }
    return {name: Unlearnable((), text) for name, text in why.items() if name not in outcomes}
