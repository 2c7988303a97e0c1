"""Settings of the affinity partition: how strong each axis is, and which columns it reads."""

from dataclasses import dataclass, field, fields

from sim.checks import Refused, within

STRONGEST = 1000.0
TIMES = ("dx_date", "dx_year", "diagnosis_year", "year")  # time of diagnosis, the finest first


@dataclass
class Kappa:
    """Strength of every axis: 0 = none. What 1 means stands beside each."""

    archetype: float = 0.0  # tilts and sizes of partition.archetypes as they are written
    geography: float = 0.0  # odds times e for the own region; or for every catchment_km nearer
    demographic: float = 0.0  # sd of the log tilt of every level, and of the log-odds per sd of a number
    case_mix: float = 0.0  # sd of the log tilt of every cancer; 0.6 is cohort=calibrated's at het = 1
    stage: float = 0.0  # sd of the log-odds per sd of stage
    time: float = 0.0  # a site's patients spread over time_width (sd, share of all diagnoses in order of date)
    rare: float = 0.0  # odds times e that a rare cancer is seen at a referral site
    outcome: float = 0.0  # sd of the log-odds of a patient with the event; or of the log tilt of every class

    def __post_init__(self) -> None:
        for axis in fields(self):
            within(f"partition.kappa.{axis.name}", getattr(self, axis.name), 0, STRONGEST)

    @property
    def used(self) -> dict[str, float]:
        """Axes that are on."""
        strengths = {axis.name: float(getattr(self, axis.name)) for axis in fields(self)}
        return {name: kappa for name, kappa in strengths.items() if kappa > 0}


@dataclass
class Columns:
    """Which columns of the cohort the axes read; only those of the axes that are on need be there."""

    cancer: str = "cancer"  # levels; those below rare_below are rare
    stage: str = "stage"  # ordered levels or a number, up = later
    age: str = "age_years"  # read by archetypes
    demographic: list[str] = field(default_factory=lambda: ["age_years", "male", "race", "insurance"])
    region: str = "site"  # levels; the default is where the patient comes from
    latitude: str = ""  # degrees; with longitude, distance takes the place of regions
    longitude: str = ""
    time: str = ""  # a date or a number; empty = the first of TIMES that is there

    def __post_init__(self) -> None:
        if bool(self.latitude) != bool(self.longitude):
            raise Refused(
                f"partition.columns.latitude={self.latitude!r}, partition.columns.longitude={self.longitude!r}: "
                "a place needs both. Name the other one too, or neither."
            )
