"""Settling a cohort: a partition deals it, its promises are checked, some patients are copied, some sites kept out."""

from typing import NamedTuple

from sim.arrays import Ints
from sim.cohort.table import Cohort
from sim.factorize import at_one_place, coded
from sim.partition.base import Partition, Sites
from sim.partition.minimums import floors
from sim.partition.overlap import copied


class Settled(NamedTuple):
    """Who stands where."""

    cohort: Cohort  # with the copies of patients who are known at two sites
    sites: Sites  # [R]
    external: tuple[str, ...]  # sites that do not train
    again: Ints  # [n] rows of which the last n are copies


def settle(partition: Partition, cohort: Cohort, outcome: str, seed: int) -> Settled:
    """A cohort at its sites."""
    sites = partition.assign(cohort, outcome, seed)
    promised(partition, cohort, outcome, sites)
    whole, everywhere, again = copied(cohort, sites, partition.overlap, seed)
    return Settled(whole, everywhere, partition.external.reserve(cohort, outcome, sites, seed), again)


def promised(partition: Partition, cohort: Cohort, outcome: str, sites: Sites) -> None:
    """Every row at a site, every patient at one, no site below a floor; a partition that breaks this is a mistake."""
    assert sites.shape == (len(cohort.table),), "not one site for every row"
    names, site = coded(sites)
    assert all(names.tolist()), "a row without a site"
    assert at_one_place(cohort.table["patient"], site), "a patient at several sites"
    assert not floors(partition, cohort, outcome).lack(names, site, cohort.classes(outcome)).sites, "below a floor"
