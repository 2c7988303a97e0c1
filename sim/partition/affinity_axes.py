"""From settings and columns to the axes of an affinity: columns are read once, sites drawn in every attempt."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import scipy

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused
from sim.cohort.ordered import column_of
from sim.cohort.table import Cohort
from sim.partition import archetype, axes
from sim.partition.affinity_settings import TIMES, AffinitySettings
from sim.partition.axes import Axis
from sim.partition.columns import Levels, patient_levels, patient_numbers, standardised
from sim.partition.redraw import LabelledPatients
from sim.partition.sizes import normals, relative_sizes


class Normals(Protocol):
    """Standard normals keyed by a path."""

    def __call__(self, *path: int | str, shape: tuple[int, ...]) -> Floats:
        """Array of this shape that depends only on the path."""


class DrawnSites(NamedTuple):
    """The K sites of one draw, before patients are assigned to them."""

    normals: Normals  # of this draw
    size: Floats  # [K] relative
    archetype: Ints  # [K] index in the sorted names of the archetypes

    @property
    def number(self) -> int:
        """Number of sites, K."""
        return len(self.size)


DrawAxes = Callable[[DrawnSites], list[Axis]]


def draw_sites(settings: AffinitySettings, seed: int, draw: int) -> DrawnSites:
    """Sites of the draw with this number: sizes, and archetypes, which change the sizes where they are on."""
    keyed, sites = partial(normals, seed, "affinity", draw), settings.sites
    size = relative_sizes(sites, settings.power, settings.sigma, settings.sizes, keyed("size", shape=(sites,)))
    kind = archetype.archetypes_of(settings.archetypes, scipy.special.ndtr(keyed("archetype", shape=(sites,))))
    if settings.kappa.archetype:
        factor = np.array([settings.archetypes[name].size for name in sorted(settings.archetypes)])
        size = size * factor[kind] ** settings.kappa.archetype
    return DrawnSites(keyed, size, kind)


def by_archetype(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """Tilts of the site's archetype on age, stage, rare cancers and levels of columns."""
    traits, pairs = archetype.tilted(settings.archetypes)
    columns = settings.columns
    read = {
        "age": lambda: patient_numbers(cohort, columns.age, "partition.columns.age", patients),
        "stage": lambda: patient_numbers(cohort, columns.stage, "partition.columns.stage", patients),
        "rare": lambda: has_rare_cancer(settings, cohort, patients).astype(np.float64),
    }
    facts = [read[trait]() for trait in traits]
    for column, name in pairs:
        found = patient_levels(cohort, column, "partition.archetypes: levels", patients)
        facts.append((found.code == archetype.level_code(found.names, column, name)).astype(np.float64))
    tilts = archetype.tilt_table(settings.archetypes, traits, pairs)
    table = np.stack(facts, axis=1) if facts else np.zeros((len(patients.word), 0))
    return lambda sites: [axes.traits(table, tilts[sites.archetype])]


def by_geography(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """Nearness of places, or the same region. Sites lie where patients live, or in regions by their patients."""
    columns = settings.columns
    if columns.latitude:
        latitude, longitude = (
            patient_numbers(cohort, column, f"partition.columns.{name}", patients, raw=True)
            for name, column in (("latitude", columns.latitude), ("longitude", columns.longitude))
        )
        known = np.flatnonzero(~np.isnan(latitude + longitude))
        if not len(known):
            raise Refused(
                f"partition.columns.latitude={columns.latitude!r}: no patient has coordinates. Name other columns."
            )

        def catchments(sites: DrawnSites) -> list[Axis]:
            seat = known[
                (scipy.special.ndtr(sites.normals("seat", shape=(sites.number,))) * len(known)).astype(np.int64)
            ]
            return [axes.catchment(latitude, longitude, seat, settings.catchment_km)]

        return catchments
    region = patient_levels(cohort, columns.region, "partition.columns.region", patients)
    ends = np.cumsum(region.share)[:-1]

    def homes(sites: DrawnSites) -> list[Axis]:
        # Systematic sampling: each region has its share of the sites, give or take one.
        place = (np.arange(sites.number) + scipy.special.ndtr(sites.normals("region", shape=(1,)))) / sites.number
        return [axes.home(region, np.searchsorted(ends, place, side="right"))]

    return homes


def by_demographic(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """A tilt for every level of every column with levels, a slope for every column of numbers."""
    names = settings.columns.demographic
    if not names:
        raise Refused("partition.columns.demographic=[]: kappa.demographic needs at least one column. Name one.")
    numeric, levelled = {}, {}
    for name in names:
        kind = column_of(cohort, name, "partition.columns.demographic").dtype.kind
        if kind in "iuf":
            numeric[name] = patient_numbers(cohort, name, "partition.columns.demographic", patients)
        else:
            levelled[name] = patient_levels(cohort, name, "partition.columns.demographic", patients)

    def slopes_and_tilts(sites: DrawnSites) -> list[Axis]:
        slopes = [
            axes.gradient(value, sites.normals("demographic", name, shape=(sites.number,)))
            for name, value in numeric.items()
        ]
        tilts = [
            axes.tilt(found, sites.normals("demographic", name, shape=(sites.number, len(found.names))))
            for name, found in levelled.items()
        ]
        return slopes + tilts

    return slopes_and_tilts


def by_case_mix(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """A tilt for every cancer."""
    cancer = patient_levels(cohort, settings.columns.cancer, "partition.columns.cancer", patients)
    return lambda sites: [axes.tilt(cancer, sites.normals("case_mix", shape=(sites.number, len(cancer.names))))]


def by_stage(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """A slope on stage: some sites see later stages."""
    stage = patient_numbers(cohort, settings.columns.stage, "partition.columns.stage", patients)
    return lambda sites: [axes.gradient(stage, sites.normals("stage", shape=(sites.number,)))]


def by_time(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """A window of time for every site. Windows are spread evenly over the diagnoses, in an order drawn at random.

    Patients diagnosed at the same time share the middle of their ranks, so which of them go where is chance.
    """
    column = settings.columns.time or next((name for name in TIMES if name in cohort.table), "")
    if not column:
        raise Refused(
            f"partition.kappa.time={settings.kappa.time:g}: cohort {cohort.name!r} has none of {', '.join(TIMES)}. "
            "Name its column of the time of diagnosis in partition.columns.time, or set it to 0."
        )
    time = patient_numbers(cohort, column, "partition.columns.time", patients, raw=True)
    known = np.sort(time[~np.isnan(time)])
    if not len(known) or known[0] == known[-1]:
        reason = "all have the same" if len(known) else "nobody has a time"
        raise Refused(
            f"partition.columns.time={column!r}: {reason}. Name another column, or set partition.kappa.time=0."
        )
    middle = (np.searchsorted(known, time, side="left") + np.searchsorted(known, time, side="right")) / 2
    rank = np.where(np.isnan(time), np.nan, middle / len(known))

    def windows(sites: DrawnSites) -> list[Axis]:
        turn = np.argsort(np.argsort(sites.normals("time", shape=(sites.number,)), kind="stable"), kind="stable")
        return [axes.windows(rank, (turn + 0.5) / sites.number, settings.time_width)]

    return windows


def by_rare(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """Referral of rare cancers to the largest sites; refuses a cohort in which no cancer is rare."""
    rare = has_rare_cancer(settings, cohort, patients)
    if not rare.any():
        raise Refused(
            f"partition.kappa.rare: no level of {settings.columns.cancer!r} has a share below partition.rare_below="
            f"{settings.rare_below:g}, so no cancer is rare. Raise it, or include more cancers in the cohort."
        )

    def referrals(sites: DrawnSites) -> list[Axis]:
        largest = np.zeros(sites.number, dtype=bool)
        largest[np.argsort(-sites.size, kind="stable")[: settings.referral]] = True
        return [axes.referral(rare, largest)]

    return referrals


def by_outcome(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> DrawAxes:
    """A slope on the event, so that some sites see more of it; with several classes, a tilt for every class."""
    if len(patients.names) > 2:
        classes = Levels(patients.kind, patients.names)
        return lambda sites: [axes.tilt(classes, sites.normals("outcome", shape=(sites.number, len(classes.names))))]
    event = standardised(patients.kind.astype(np.float64)) * patients.kind.std()  # centred; log-odds per event
    return lambda sites: [axes.gradient(event, sites.normals("outcome", shape=(sites.number,)))]


def has_rare_cancer(settings: AffinitySettings, cohort: Cohort, patients: LabelledPatients) -> Bools:
    """Whether the share of a patient's cancer in the cohort is below `rare_below`; [N]."""
    cancer = patient_levels(cohort, settings.columns.cancer, "partition.columns.cancer", patients)
    return np.asarray((cancer.code >= 0) & (cancer.share < settings.rare_below)[cancer.code])


AXES: Mapping[str, Callable[[AffinitySettings, Cohort, LabelledPatients], DrawAxes]] = {  # the fields of Kappa
    "archetype": by_archetype,
    "geography": by_geography,
    "demographic": by_demographic,
    "case_mix": by_case_mix,
    "stage": by_stage,
    "time": by_time,
    "rare": by_rare,
    "outcome": by_outcome,
}
