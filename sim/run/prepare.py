"""Gathering: from settings to the patients of every site and what it records of them. Every command starts here."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.config.experiment import Experiment
from sim.factorize import coded
from sim.federation.split import RowSplit, split_rows
from sim.partition.assign import assign_sites
from sim.partition.minimums import floors
from sim.profiling import stage


class Gathered(NamedTuple):
    """Who stands where."""

    dealt: Cohort  # before the shift
    cohort: Cohort  # as the sites record it; the same object without a shift
    outcome: str
    sites: NDArray[np.str_]  # [R]
    external: tuple[str, ...]  # sites that do not train
    sides: RowSplit


def gather(experiment: Experiment) -> Gathered:
    """Cohort, partition, shift and split of an experiment."""
    seed = experiment.seed
    with stage("cohort"):
        whole = experiment.cohort.load(seed)
        outcome = experiment.task.choose(whole)
        whole = experiment.task.ask(whole, outcome)
    with stage("partition"):
        dealt, sites, external, again = assign_sites(experiment.partition, whole, outcome, seed)
        cohort = experiment.shift.apply(dealt, outcome, sites, seed)
        if cohort is not dealt:
            still(experiment, dealt, cohort, outcome, sites)
    with stage("federation"):
        stand = split_rows(cohort, outcome, sites, experiment.split, seed, external, again)
    return Gathered(dealt, cohort, outcome, sites, external, stand)


def still(experiment: Experiment, dealt: Cohort, cohort: Cohort, outcome: str, sites: NDArray[np.str_]) -> None:
    """Refuse a shift after which an outcome is not known, or a site is below a floor of the partition."""
    unknown = ~cohort.known(outcome)
    names, site = coded(sites)
    lack = floors(experiment.partition, cohort, outcome).lack(names, site, cohort.classes(outcome))
    if not unknown.any() and not lack.sites:
        return
    rows = unknown if unknown.any() else np.isin(site, np.flatnonzero(lack.short))
    dials = " or ".join(experiment.shift.changers(dealt, outcome, sites, experiment.seed, rows))
    if unknown.any():
        raise Refused(
            f"The shift leaves outcome {outcome!r} not recorded in {unknown.sum()} of {len(unknown)} rows. "
            f"Leave its column out of the settings of shift.coding and shift.missing, or turn down {dials}."
        )
    raise Refused(
        f"The shift leaves {lack.in_words()}, where the partition had none. Turn down {dials}, or set "
        f"{' '.join(lack.remedies())}."
    )
