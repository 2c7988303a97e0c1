"""From settings and columns to the axes of an affinity: columns are read once, sites drawn anew for every draw."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import ndtr

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused
from sim.cohort.ordered import column_of
from sim.cohort.table import Cohort
from sim.partition import archetype, axes
from sim.partition.affinity_settings import TIMES, AffinitySettings
from sim.partition.axes import Axis
from sim.partition.columns import Levels, levels, number, standard
from sim.partition.redraw import People
from sim.partition.sizes import normals, relative


class Normal(Protocol):
    """Keyed standard normals."""

    def __call__(self, *path: int | str, shape: tuple[int, ...]) -> Floats:
        """Array of this shape that belongs to a path."""


class Drawn(NamedTuple):
    """K sites of one draw."""

    normal: Normal  # of this draw
    large: Floats  # [K] relative size
    kind: Ints  # [K] archetype, in the order of the names

    @property
    def sites(self) -> int:
        """How many."""
        return len(self.large)


Seeker = Callable[[Drawn], list[Axis]]


def drawn(settings: AffinitySettings, seed: int, draw: int) -> Drawn:
    """Sites of a draw: sizes, and kinds where archetypes are on."""
    normal, sites = partial(normals, seed, "affinity", draw), settings.sites
    large = relative(sites, settings.power, settings.sigma, settings.sizes, normal("size", shape=(sites,)))
    kind = archetype.kinds(settings.archetypes, ndtr(normal("archetype", shape=(sites,))))
    if settings.kappa.archetype:
        size = np.array([settings.archetypes[name].size for name in sorted(settings.archetypes)])
        large = large * size[kind] ** settings.kappa.archetype
    return Drawn(normal, large, kind)


def by_archetype(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """Tilts of the site's archetype on age, stage, rare cancers and levels."""
    traits, pairs = archetype.wanted(settings.archetypes)
    columns = settings.columns
    read = {
        "age": lambda: number(cohort, columns.age, "partition.columns.age", group),
        "stage": lambda: number(cohort, columns.stage, "partition.columns.stage", group),
        "rare": lambda: rare_cases(settings, cohort, group).astype(np.float64),
    }
    facts = [read[trait]() for trait in traits]
    for column, name in pairs:
        found = levels(cohort, column, "partition.archetypes: levels", group)
        facts.append((found.code == archetype.level(found.names, column, name)).astype(np.float64))
    sought = archetype.sought(settings.archetypes, traits, pairs)
    table = np.stack(facts, axis=1) if facts else np.zeros((len(group.word), 0))
    return lambda at: [axes.traits(table, sought[at.kind])]


def by_geography(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """Nearness of places, or the same region. Sites lie where patients live, or in regions by their patients."""
    columns = settings.columns
    if columns.latitude:
        latitude, longitude = (
            number(cohort, column, f"partition.columns.{name}", group, raw=True)
            for name, column in (("latitude", columns.latitude), ("longitude", columns.longitude))
        )
        known = np.flatnonzero(~np.isnan(latitude + longitude))
        if not len(known):
            raise Refused(f"partition.columns.latitude={columns.latitude!r}: nobody has a place. Name other columns.")

        def nearby(at: Drawn) -> list[Axis]:
            seat = known[(ndtr(at.normal("seat", shape=(at.sites,))) * len(known)).astype(np.int64)]
            return [axes.catchment(latitude, longitude, seat, settings.catchment_km)]

        return nearby
    region = levels(cohort, columns.region, "partition.columns.region", group)
    ends = np.cumsum(region.share)[:-1]

    def at_home(at: Drawn) -> list[Axis]:
        # Systematic sampling: each region has its share of the sites, give or take one.
        place = (np.arange(at.sites) + ndtr(at.normal("region", shape=(1,)))) / at.sites
        return [axes.home(region, np.searchsorted(ends, place, side="right"))]

    return at_home


def by_demographic(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """A tilt for every level of every column, a slope for columns of numbers."""
    names = settings.columns.demographic
    if not names:
        raise Refused("partition.columns.demographic=[]: kappa.demographic needs at least one column.")
    numeric, levelled = {}, {}
    for name in names:
        kind = column_of(cohort, name, "partition.columns.demographic").dtype.kind
        if kind in "iuf":
            numeric[name] = number(cohort, name, "partition.columns.demographic", group)
        else:
            levelled[name] = levels(cohort, name, "partition.columns.demographic", group)

    def drawn_axes(at: Drawn) -> list[Axis]:
        slopes = [
            axes.gradient(value, at.normal("demographic", name, shape=(at.sites,))) for name, value in numeric.items()
        ]
        tilts = [
            axes.tilt(found, at.normal("demographic", name, shape=(at.sites, len(found.names))))
            for name, found in levelled.items()
        ]
        return slopes + tilts

    return drawn_axes


def by_case_mix(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """A tilt for every cancer."""
    cancer = levels(cohort, settings.columns.cancer, "partition.columns.cancer", group)
    return lambda at: [axes.tilt(cancer, at.normal("case_mix", shape=(at.sites, len(cancer.names))))]


def by_stage(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """Some sites see later stages."""
    stage = number(cohort, settings.columns.stage, "partition.columns.stage", group)
    return lambda at: [axes.gradient(stage, at.normal("stage", shape=(at.sites,)))]


def by_time(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """Every site has its window of time; which, does not go by size. Those of one year are dealt to it by chance."""
    column = settings.columns.time or next((name for name in TIMES if name in cohort.table), "")
    if not column:
        raise Refused(
            f"partition.kappa.time={settings.kappa.time:g}: cohort {cohort.name!r} has none of {', '.join(TIMES)}. "
            "Name its column of the time of diagnosis in partition.columns.time, or set it to 0."
        )
    time = number(cohort, column, "partition.columns.time", group, raw=True)
    order = np.sort(time[~np.isnan(time)])
    if not len(order) or order[0] == order[-1]:
        there = "all have the same" if len(order) else "nobody has a time"
        raise Refused(
            f"partition.columns.time={column!r}: {there}. Name another column, or set partition.kappa.time=0."
        )
    middle = (np.searchsorted(order, time, side="left") + np.searchsorted(order, time, side="right")) / 2
    rank = np.where(np.isnan(time), np.nan, middle / len(order))

    def opened(at: Drawn) -> list[Axis]:
        turn = np.argsort(np.argsort(at.normal("time", shape=(at.sites,)), kind="stable"), kind="stable")
        return [axes.windows(rank, (turn + 0.5) / at.sites, settings.time_width)]

    return opened


def by_rare(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """Rare cancers at the largest sites."""
    rare = rare_cases(settings, cohort, group)
    if not rare.any():
        raise Refused(
            f"partition.kappa.rare: no level of {settings.columns.cancer!r} has a share below partition.rare_below="
            f"{settings.rare_below:g}, so that no cancer is rare. Raise it, or take more cancers into the cohort."
        )

    def referred(at: Drawn) -> list[Axis]:
        top = np.zeros(at.sites, dtype=bool)
        top[np.argsort(-at.large, kind="stable")[: settings.referral]] = True
        return [axes.referral(rare, top)]

    return referred


def by_outcome(settings: AffinitySettings, cohort: Cohort, group: People) -> Seeker:
    """Some sites see more patients with the event; of an outcome of several classes, a tilt for every class."""
    if len(group.names) > 2:
        kinds = Levels(group.kind, group.names)
        return lambda at: [axes.tilt(kinds, at.normal("outcome", shape=(at.sites, len(kinds.names))))]
    had = standard(group.kind.astype(np.float64)) * group.kind.std()  # centred, per event
    return lambda at: [axes.gradient(had, at.normal("outcome", shape=(at.sites,)))]


def rare_cases(settings: AffinitySettings, cohort: Cohort, group: People) -> Bools:
    """Whether a patient's cancer is rare in this cohort; bool [N]."""
    cancer = levels(cohort, settings.columns.cancer, "partition.columns.cancer", group)
    return np.asarray((cancer.code >= 0) & (cancer.share < settings.rare_below)[cancer.code])


SEEKERS: Mapping[str, Callable[[AffinitySettings, Cohort, People], Seeker]] = {  # the fields of Kappa
    "archetype": by_archetype,
    "geography": by_geography,
    "demographic": by_demographic,
    "case_mix": by_case_mix,
    "stage": by_stage,
    "time": by_time,
    "rare": by_rare,
    "outcome": by_outcome,
}
