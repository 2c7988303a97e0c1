"""Options of an import."""

from enum import Enum


class FollowUp(Enum):
    """End of follow-up of the living."""

    export = "export"  # to the last day of the whole export: right where all deaths are known, as in Synthea
    contact = "contact"  # to the patient's own last encounter


class Unknown(Enum):
    """Treatment of a cell that is not understood."""

    refuse = "refuse"
    skip = "skip"  # left out and counted
