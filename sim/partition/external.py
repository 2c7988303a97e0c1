"""External sites: hospitals that do not take part in training and on which the finished model is evaluated."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from sim.arrays import Floats, Ints, Names
from sim.checks import Refused, one_of, within
from sim.cohort.encode import encode
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.random import key, scatter, site_keys


class ExternalChoice(Enum):
    """By what external sites are chosen."""

    random = "random"
    shift = "shift"  # those farthest from all others: the hardest external validation


@dataclass
class External:
    """Settings of external validation: how many sites are reserved, and which. All of their rows are test rows."""

    count: int = 0  # >= 0; below the number of sites
    by: ExternalChoice = ExternalChoice.random
    sites: list[str] = field(default_factory=list)  # these by name, and `count` others

    def __post_init__(self) -> None:
        within("partition.external.count", self.count, 0)

    def reserve(self, cohort: Cohort, outcome: str, sites: Names, seed: int) -> tuple[str, ...]:
        """Names of the reserved sites, sorted; the same whatever the order of the rows; sites [R].

        Refuses a name that is not a site, and a count that leaves no site to train.
        """
        names, site = factorize(sites)
        for name in self.sites:
            one_of("partition.external.sites", name, names.tolist())
        left = ~np.isin(names, self.sites)
        if self.count >= max(int(left.sum()), 1):
            raise Refused(
                f"partition.external.count={self.count}: {left.sum()} of {len(names)} sites are left to choose from, "
                "but at least one must train. Lower it."
            )
        if not left.any():
            raise Refused("partition.external.sites names every site, but at least one must train. Shorten it.")
        if self.by is ExternalChoice.shift:
            rank = -remoteness(cohort, outcome, site, len(names))
        else:
            rank = scatter(key(seed, "partition", "external"), site_keys(tuple(names))).astype(np.float64)
        rank = np.where(left, rank, np.inf)
        chosen = np.argsort(rank, kind="stable")[: self.count]
        return tuple(sorted({*self.sites, *names[chosen].tolist()}))


def remoteness(cohort: Cohort, outcome: str, site: Ints, sites: int) -> Floats:
    """How far the patients of each site are from all patients: mean squared standardised difference; [R] -> [S].

    The mean is over columns: the predictors as a model sees them (one per level but the first, one for gaps), and the
    event, or one per class but the first. The variance of a mean of rows drawn at random is subtracted, so that small
    sites are not far by chance: under IID the expectation is zero, and a value may be below zero.
    """
    seen = [values.astype(np.float64) for _, values in encode(cohort.table, cohort.predictors[outcome])]
    label = cohort.classes(outcome)
    seen += [(label == kind).astype(np.float64) for kind in range(1, len(cohort.levels(outcome)) or 2)]
    total = np.zeros(sites)
    for column in seen:
        known = ~np.isnan(column)
        value, place = column[known], site[known]
        sd = value.std()
        if sd == 0:
            continue
        rows = np.bincount(place, minlength=sites)
        # Sorted before it is summed, so that the order of the table does not reach the last bit.
        order = np.lexsort((value, place))
        z = (value[order] - np.sort(value).mean()) / sd
        mean = np.bincount(place[order], weights=z, minlength=sites) / np.maximum(rows, 1)
        chance = (1 / np.maximum(rows, 1) - 1 / len(value)) * len(value) / (len(value) - 1)
        total += np.where(rows > 0, mean**2 - chance, 0.0)
    return np.asarray(total / len(seen))
