"""From settings to the patients of every site and what it records of them: the first step of every command."""

from typing import NamedTuple

import numpy as np

from sim.arrays import Ints, Names
from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.config.experiment import Experiment
from sim.factorize import factorize
from sim.federation.split import RowSplit, split_rows
from sim.partition.assign import assign_sites
from sim.partition.minimums import floors
from sim.profiling import stage
from sim.run.room import refuse_cohort


class Dealt(NamedTuple):
    """A cohort at its sites, before and after the shift."""

    before: Cohort
    cohort: Cohort  # as the sites record it; the same object without a shift
    outcome: str
    sites: Names  # [R]
    external: tuple[str, ...]  # sites that do not train
    originals: Ints  # [n] rows of which the last n are copies, see `assign_sites`


class Gathered(NamedTuple):
    """A cohort at its sites, with its split into training, validation and test rows."""

    dealt: Dealt
    sides: RowSplit


def gather(experiment: Experiment) -> Gathered:
    """Cohort, partition, shift and split of an experiment."""
    dealt = deal(experiment)
    _, cohort, outcome, sites, external, originals = dealt
    with stage("federation"):
        sides = split_rows(cohort, outcome, sites, experiment.split, experiment.seed, external, originals)
    return Gathered(dealt, sides)


def deal(experiment: Experiment, of_outcome: bool = True) -> Dealt:
    """Cohort, partition and shift of an experiment; refuses a shift that violates the floors of the partition.

    `of_outcome` keeps only the patients whose outcome is known, which everything that uses the outcome needs.
    """
    seed = experiment.seed
    refuse_cohort(experiment)
    with stage("cohort"):
        whole = experiment.cohort.load(seed)
        outcome = experiment.task.choose(whole)
        if of_outcome:
            whole = experiment.task.ask(whole, outcome)
    with stage("partition"):
        before, sites, external, originals = assign_sites(experiment.partition, whole, outcome, seed)
        cohort = experiment.shift.apply(before, outcome, sites, seed)
        if cohort is not before:
            refuse_broken(experiment, before, cohort, outcome, sites)
    return Dealt(before, cohort, outcome, sites, external, originals)


def refuse_broken(experiment: Experiment, before: Cohort, cohort: Cohort, outcome: str, sites: Names) -> None:
    """Refuse a shift that removes a known outcome, or takes a site below a floor of the partition."""
    unknown = before.known(outcome) & ~cohort.known(outcome)
    names, site = factorize(sites)
    lack = floors(experiment.partition, cohort, outcome).lack(names, site, cohort.classes(outcome))
    if not unknown.any() and not lack.sites:
        return
    rows = unknown if unknown.any() else np.isin(site, np.flatnonzero(lack.short))
    dials = " or ".join(experiment.shift.changers(before, outcome, sites, experiment.seed, rows))
    if unknown.any():
        raise Refused(
            f"The shift leaves outcome {outcome!r} not recorded in {unknown.sum()} of {len(unknown)} rows. "
            f"Leave its column out of the settings of shift.coding and shift.missing, or lower {dials}."
        )
    raise Refused(
        f"The shift leaves {lack.in_words()}, which the partition did not. Lower {dials}, or set "
        f"{' '.join(lack.remedies())}."
    )
