"""Leakage: columns of the clinical table that reveal an outcome and so must not predict it."""

from sim.cohort.clinical.schema import TREATMENTS, columns

TREATMENT_COLUMNS = frozenset(f"tx_{name}" for name in TREATMENTS)
REVEAL_CANCER = frozenset(  # tied to the sex, or recorded for some cancers only
    {
        "sex",
        "histology",
        "stage",
        "t",
        "n",
        "m",
        "tumor_size_cm",
        "er",
        "pr",
        "her2",
        "psa",
        "polyp_size_mm",
        "cancer_type",
    }
)


def leaking_columns(outcome: str) -> frozenset[str]:
    """Columns that must not predict an outcome.

    Treatments follow the stage, and may follow a response, whose day is not recorded; so they may predict death only.
    """
    if outcome in ("survival", "mortality_5y"):
        return frozenset()
    if outcome in ("stage", "stage_late"):
        return TREATMENT_COLUMNS | {"stage", *(name for name, column in columns().items() if column.reveals == "stage")}
    return TREATMENT_COLUMNS | REVEAL_CANCER if outcome == "cancer_type" else TREATMENT_COLUMNS
