"""Settings of the affinity partition: how strong each axis is, and which columns it reads."""

from dataclasses import dataclass, field, fields

from sim.checks import Refused, within
from sim.partition import archetype
from sim.partition.archetype import Archetype
from sim.partition.redraw import RandomPartition

STRONGEST = 1000.0  # kappa that is let in
TIMES = ("dx_date", "dx_year", "diagnosis_year", "year")  # time of diagnosis, the finest first


@dataclass
class Kappa:
    """Strength of every axis, 0..1000; 0 = the axis is off. The comment of each states the meaning of 1."""

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
        """Axes that are on, and their kappa."""
        strengths = {axis.name: float(getattr(self, axis.name)) for axis in fields(self)}
        return {name: kappa for name, kappa in strengths.items() if kappa > 0}


@dataclass
class AffinityColumns:
    """Which columns of the cohort the axes read; those of an axis that is off need not exist."""

    cancer: str = "cancer"  # levels; those below rare_below are rare
    stage: str = "stage"  # ordered levels or a number, up = later
    age: str = "age_years"  # read by archetypes
    demographic: list[str] = field(default_factory=lambda: ["age_years", "male", "race", "insurance"])
    region: str = "site"  # levels; the default is where the patient comes from
    latitude: str = ""  # degrees; with longitude, distance takes the place of regions
    longitude: str = ""
    time: str = ""  # a date or a number; empty = the first of TIMES that exists

    def __post_init__(self) -> None:
        if bool(self.latitude) != bool(self.longitude):
            raise Refused(
                f"partition.columns.latitude={self.latitude!r}, partition.columns.longitude={self.longitude!r}: "
                "coordinates need both. Name the other one too, or neither."
            )


@dataclass
class AffinitySettings(RandomPartition):
    """Settings of `Affinity`: how many sites, how large, and in what they differ."""

    kappa: Kappa = field(default_factory=Kappa)
    columns: AffinityColumns = field(default_factory=AffinityColumns)
    power: float = 0.0  # 0..3; Zipf: site k is k^-power as large as the first; 0 = equal
    sigma: float = 0.0  # 0..3; sd of the log size; 0.9 is what published federations look like
    sizes: list[float] = field(default_factory=list)  # > 0, relative; empty = by power and sigma alone
    archetypes: dict[str, Archetype] = field(default_factory=archetype.us_hospitals)
    referral: int = 1  # 1..sites; the largest sites are those to which rare cancers are referred
    rare_below: float = 0.05  # (0, 1); a cancer with a smaller share of the cohort is rare
    catchment_km: float = 50.0  # > 0; distance over which the odds fall by a factor e, at kappa.geography = 1
    time_width: float = 0.25  # > 0; sd of a site's window at kappa.time = 1, share of all diagnoses

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.power", self.power, 0, 3)
        within("partition.sigma", self.sigma, 0, 3)
        within("partition.referral", self.referral, 1, self.sites)
        within("partition.rare_below", self.rare_below, 0, 1, open_low=True, open_high=True)
        within("partition.catchment_km", self.catchment_km, 0, open_low=True)
        within("partition.time_width", self.time_width, 0, open_low=True)
        if self.sizes and len(self.sizes) != self.sites:
            raise Refused(
                f"partition.sizes={self.sizes}: {len(self.sizes)} sizes for partition.sites={self.sites}. "
                "Give one relative size per site, or none."
            )
        for k, size in enumerate(self.sizes):
            within(f"partition.sizes[{k}]", size, 0, open_low=True)
        archetype.check_archetypes(self.archetypes)
