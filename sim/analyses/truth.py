"""The truth in a synthetic cohort's notes, where it is not one number per patient."""

from collections.abc import Mapping

from sim.checks import Refused
from sim.cohort.table import Cohort

TRUE_CHANGES = "annual_percent_change"  # key of a cohort's notes: "merkel=3, lung=-2"


def annual_changes(cohort: Cohort) -> Mapping[str, float]:
    """True annual percent change by group; empty where it is not known. Refuses a note that cannot be read."""
    text = cohort.notes.get(TRUE_CHANGES, "")
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {name.strip(): float(change) for name, change in pairs}
    except ValueError:
        raise Refused(
            f"Note {TRUE_CHANGES!r} of cohort {cohort.name!r} is {text!r}: allowed name=percent, separated by commas."
        ) from None
