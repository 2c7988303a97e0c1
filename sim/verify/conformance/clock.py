"""The contract of a system: what its ticks may and may not say."""

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.methods.systems.base import Profile, System, Tick
from sim.random import site_keys
from sim.verify.conformance.answers import Broken, asked

SITES, ROUNDS = 9, 12
MEMBERS = np.array([0, 1, 2, 4, 5, 6, 7, 8])  # site 3 is external: it never trains


def profile() -> Profile:
    """Sites that take different numbers of steps."""
    keys = site_keys(tuple(f"site {at}" for at in range(SITES)))
    share = np.where(np.isin(np.arange(SITES), MEMBERS), 1 / len(MEMBERS), 0.0)
    return Profile(MEMBERS, keys, np.arange(1, SITES + 1), bytes_down=1000, bytes_up=500, seed=4, share=share)


def runs(entry: type[System]) -> None:
    """Two runs of the clock, as it is and with sites that do not answer."""
    name = entry.__name__
    for made in (entry(), entry(dropout=0.3), *several(entry)):
        followed(name, made, profile())
        count = made.uploads(len(MEMBERS))
        if not 1 <= count <= len(MEMBERS):
            raise Broken(f"{name}.uploads({len(MEMBERS)}) is {count}.")
    try:
        entry(sites=SITES + 1).fits(SITES)
    except Refused:
        pass
    else:
        raise Broken(f"{name}.fits takes more sites at a time than there are.")
    stale = np.arange(4)
    factor = asked(f"{name}.discount", entry().discount, stale)
    if factor.shape != stale.shape or not ((factor > 0) & (factor <= 1)).all() or factor[0] != 1:
        raise Broken(f"{name}.discount must be in (0, 1], and 1 for an upload that is not late; it is {factor}.")


def several(entry: type[System]) -> list[System]:
    """The system with four sites at a time; none where it takes but one."""
    try:
        return [entry(sites=4)]
    except Refused:
        return []


def followed(name: str, made: System, sites: Profile) -> None:
    """Every tick against those before it."""

    def alike(some: Ints) -> Floats:
        return np.ones(len(some))

    ticks = asked(f"{name}.ticks", lambda sites: list(made.ticks(sites, ROUNDS, alike)), sites)
    if len(ticks) != ROUNDS:
        raise Broken(f"{name}.ticks gives {len(ticks)} updates for {ROUNDS} rounds.")
    again = list(made.ticks(sites, ROUNDS, alike))
    busy: dict[int, int] = {}  # site that trains or waits -> update of its model
    now = 0.0
    for number, (tick, other) in enumerate(zip(ticks, again, strict=True)):
        if not all(
            np.array_equal(one, two) for one, two in zip(vars(tick).values(), vars(other).values(), strict=True)
        ):
            raise Broken(f"{name}.ticks differs from one time to the next; draw with `sim.random`.")
        if not now <= tick.seconds < np.inf:
            raise Broken(f"{name}.ticks: time runs from {now} to {tick.seconds}.")
        now = tick.seconds
        well_formed(name, made, tick, sites)
        for site in tick.start.tolist():
            if site in busy:
                raise Broken(f"{name}.ticks: site {site} starts again before its upload has arrived.")
            busy[site] = number
        for site, late in zip(tick.arrive.tolist(), tick.stale.tolist(), strict=True):
            if site not in busy:
                raise Broken(f"{name}.ticks: an upload of site {site} arrives that it never started.")
            if number - busy.pop(site) != late:
                raise Broken(f"{name}.ticks: the upload of site {site} is not {late} updates late.")


def well_formed(name: str, made: System, tick: Tick, sites: Profile) -> None:
    """Shapes, order, and who may appear."""
    for word in ("start", "arrive"):
        if (np.diff(getattr(tick, word)) <= 0).any():
            raise Broken(f"{name}.ticks: `{word}` must ascend, each site once.")
    if not np.isin(tick.asked, sites.members).all():
        raise Broken(f"{name}.ticks asks a site that is not a member.")
    if not np.isin(tick.start, tick.asked).all():
        raise Broken(f"{name}.ticks: a site starts that was not asked.")
    if tick.steps.shape != tick.start.shape or not ((tick.steps >= 1) & (tick.steps <= sites.steps[tick.start])).all():
        raise Broken(f"{name}.ticks: steps must be 1 to those of a full round, one number for each that starts.")
    if tick.stale.shape != tick.arrive.shape:
        raise Broken(f"{name}.ticks: `stale` needs a number for each of `arrive`.")
    if not made.holds and (not np.array_equal(tick.arrive, tick.start) or tick.stale.any()):
        raise Broken(f"{name}.ticks holds uploads back: set `holds`.")
