"""From a cohort to its sites: applies the partition, checks it, copies some patients and reserves external sites."""

from typing import NamedTuple

from sim.arrays import Ints, Names
from sim.cohort.table import Cohort
from sim.factorize import factorize, one_place_per_patient
from sim.partition.base import Partition
from sim.partition.minimums import floors
from sim.partition.overlap import with_overlap


class Assignment(NamedTuple):
    """A cohort and the sites of its rows."""

    cohort: Cohort  # with the copies of patients who are known at two sites
    sites: Names  # [R] site of every row
    external: tuple[str, ...]  # sites that do not train
    originals: Ints  # [n] rows of which the last n rows are copies


def assign_sites(partition: Partition, cohort: Cohort, outcome: str, seed: int) -> Assignment:
    """A cohort with its assignment to sites, overlap and external sites."""
    sites = partition.assign(cohort, outcome, seed)
    check_promises(partition, cohort, outcome, sites)
    overlapping = with_overlap(cohort, sites, partition.overlap, seed)
    external = partition.external.reserve(cohort, outcome, sites, seed)
    return Assignment(overlapping.cohort, overlapping.sites, external, overlapping.originals)


def check_promises(partition: Partition, cohort: Cohort, outcome: str, sites: Names) -> None:
    """Assert what every partition promises: each row at a site, each patient at one site, no site below a floor.

    An assertion and no refusal: a partition that breaks a promise has an error in its code, not in its settings.
    """
    assert sites.shape == (len(cohort.table),), "not one site for every row"
    names, site = factorize(sites)
    assert all(names.tolist()), "a row without a site"
    assert one_place_per_patient(cohort.table["patient"], site), "a patient at several sites"
    assert not floors(partition, cohort, outcome).lack(names, site, cohort.classes(outcome)).sites, "below a floor"
