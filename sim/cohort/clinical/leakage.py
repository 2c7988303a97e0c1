"""Which columns of the clinical table give an outcome away, and so do not predict it."""

from sim.cohort.clinical.schema import TREATMENTS, columns

WHEN_TREATED = frozenset(f"tx_{name}" for name in TREATMENTS)
OF_THE_CANCER = frozenset(  # decided by the sex, or recorded for some cancers only
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
    """Columns that do not predict an outcome.

    Treatments follow the stage, and the day of a response is not kept: a treatment may have followed it too. So they
    predict death only.
    """
    if outcome in ("survival", "mortality_5y"):
        return frozenset()
    if outcome in ("stage", "stage_late"):
        return WHEN_TREATED | {"stage", *(name for name, column in columns().items() if column.reveals == "stage")}
    return WHEN_TREATED | OF_THE_CANCER if outcome == "cancer_type" else WHEN_TREATED
