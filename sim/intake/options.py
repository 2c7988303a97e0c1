"""What a user may choose for an import."""

from enum import Enum


class FollowUp(Enum):
    """Until when the living are followed."""

    export = "export"  # to the last day of the whole export: right where all deaths are known, as in Synthea
    contact = "contact"  # to the patient's own last encounter


class Unknown(Enum):
    """What becomes of a cell that is not understood."""

    refuse = "refuse"
    skip = "skip"  # left out and counted
