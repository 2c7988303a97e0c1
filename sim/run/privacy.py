"""The privacy of a run with noise: epsilons of whole sites and single records, with accountants and assumptions."""

from collections.abc import Iterable
from functools import cache

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.config.experiment import Experiment, Json
from sim.engine.simulation import Simulation
from sim.local.private import nominal
from sim.local.settings import Sampling, Training
from sim.methods.systems.base import Tick
from sim.methods.uplink.clip import AdaptiveClip
from sim.methods.uplink.noise import TreeNoise
from sim.privacy import gaussian, rdp
from sim.privacy.settings import Privacy
from sim.privacy.tree import squared_sensitivity

SITES = (
    "of one site's uploads, or zeros in their place; which sites were heard in which update counts as known, so that "
    "nothing is claimed for sampling them"
)
RECORDS = "of one training record in all that its site sends, or zero in place of its gradients; {sampling}"
SAMPLINGS = {
    "all": "every record is in every batch",
    "poisson": "batches are drawn by coins, as the accountant assumes",
    "shuffle": "the shuffled order counts as known, and nothing is claimed for it: a record is in one batch an epoch",
}


def spent(experiment: Experiment, plan: Simulation) -> Json:
    """Epsilons of a complete run, under `sites` and `records`, from its clock; empty if there is no noise."""
    at_server = [one for one in plan.roles.uplink if one.noises]
    if not experiment.algorithm.exchanges or not (at_server or plan.training.noise):
        return {}
    ticks = list(plan.ticks(unasked))
    found: Json = {}
    if at_server:
        found["sites"] = of_sites(plan, ticks, experiment.privacy)
    if plan.training.noise:
        found["records"] = of_records(plan, ticks, experiment.privacy)
    return found


def unasked(sites: Ints) -> Floats:
    """Refuses a system that chooses sites by their losses, to which no noise is added."""
    raise Refused("privacy: the system chooses sites by their losses, to which no noise is added. Set system=sync.")


def of_sites(plan: Simulation, ticks: Iterable[Tick], settings: Privacy) -> Json:
    """Epsilon of noise at the server: the worst site's, and each site's."""
    roles, members = plan.roles, plan.federation.members
    noise = next(one for one in roles.uplink if one.noises)
    taken = [tick.arrive for tick in ticks if len(tick.arrive) >= roles.least(len(tick.asked))]
    delta, found = settings.of_sites(len(members)), {}
    per_bit = sum(ratio(1, 2 * one.noise) ** 2 for one in roles.uplink if isinstance(one, AdaptiveClip))
    updates: dict[int, list[int]] = {int(site): [] for site in members}
    for number, sites in enumerate(taken):
        for site in sites:
            updates[int(site)].append(number)
    for site, heard in updates.items():
        cost: float = len(heard)
        if isinstance(noise, TreeNoise):
            cost = squared_sensitivity(heard, len(taken), noise.restart)
        multiplier: float = vars(noise)["multiplier"]
        square = len(roles.vectors) * (cost * ratio(1, multiplier) ** 2 + len(heard) * per_bit)
        found[plan.federation.sites[site]] = gaussian.epsilon(square**0.5, delta)
    return told(found, delta, gaussian.EXACT, SITES)


def of_records(plan: Simulation, ticks: Iterable[Tick], settings: Privacy) -> Json:
    """Epsilon of noise at the sites: each site's, for its own records."""
    federation, training = plan.federation, plan.training
    steps: dict[int, list[int]] = {int(site): [] for site in federation.members}
    for tick in ticks:
        for site, count in zip(tick.start, tick.steps, strict=True):
            steps[int(site)].append(int(count))
    found, deltas = {}, {}
    for site, counts in steps.items():
        rows, name = int(federation.rows[site]), federation.sites[site]
        deltas[name] = settings.of_records(rows)
        found[name] = of_site(rows, tuple(counts), training, deltas[name])
    whole = all(nominal(federation.rows, training)[site] == federation.rows[site] for site in steps)
    sampling = "all" if whole else training.sampling.value
    accountant = rdp.SAMPLED if sampling == "poisson" else gaussian.EXACT
    return told(found, deltas, accountant, RECORDS.format(sampling=SAMPLINGS[sampling]))


def of_site(rows: int, steps: tuple[int, ...], training: Training, delta: float) -> float:
    """Epsilon of a site with so many rows after rounds of so many steps."""
    size = int(nominal(np.array([rows]), training)[0])
    if training.sampling is Sampling.poisson and size < rows:
        return rdp.epsilon(sum(steps) * sampled(size / rows, training.noise), delta) if sum(steps) else 0.0
    batches = int(training.batches(np.array([rows]))[0])
    releases = sum(-(-count // batches) for count in steps)
    return gaussian.epsilon(releases**0.5 / training.noise, delta)


@cache
def sampled(q: float, z: float) -> Floats:
    """Rényi DP of one step; sites of equal size share it."""
    return rdp.sampled(q, z)


def ratio(one: float, other: float) -> float:
    """A quotient, infinite where the noise is none."""
    return one / other if other else float("inf")


def told(found: dict[str, float], delta: float | dict[str, float], accountant: str, of: str) -> Json:
    """Epsilons of all sites with minimum, median and maximum; infinity is null, because JSON has none."""
    values = list(found.values())

    def shown(value: float) -> float | None:
        return round(value, 6) if np.isfinite(value) else None

    return {
        "epsilon": {"min": shown(min(values)), "median": shown(float(np.median(values))), "max": shown(max(values))},
        "delta": delta,
        "accountant": accountant,
        "of": of,
        "by_site": {site: shown(value) for site, value in found.items()},
    }
