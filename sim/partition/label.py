"""Label skew: sites differ in how often each class occurs. The three laws that all go by the name of Dirichlet."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from sim.arrays import Ints
from sim.checks import within
from sim.cohort.table import Cohort
from sim.partition.base import Partition, Sites
from sim.partition.columns import classes
from sim.partition.minimums import floors
from sim.partition.redraw import Words, cut, people, possible, redraw
from sim.partition.urn import Urn, fill
from sim.random import stream


@dataclass
class Dirichlet(Partition):
    """Definition A, classes to sites: each class is dealt over the sites in shares q ~ Dirichlet(alpha, ..., alpha).

    Yurochkin et al., ICML 2019; NIID-Bench, Li et al., ICDE 2022, without its balancing line, which sets q to 0 at
    sites that already hold 1/S of the rows and so gives a much weaker skew under the same alpha. Sizes become skewed
    with the labels. Classes of a survival outcome are whether the event happened.
    """

    sites: int = 4  # >= 1
    alpha: float = 0.5  # > 0; small = skewed, large = IID; NIID-Bench's usual value
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)
        code, names = classes(cohort, outcome, self.by, group)

        def draw(number: int) -> Ints:
            site = np.empty(len(group.word), dtype=np.int64)
            order = group.shuffled(seed, "dirichlet", number)
            for at in range(len(names)):
                shares = stream(seed, "partition", "dirichlet", number, at).dirichlet(np.full(self.sites, self.alpha))
                cut(order[code[order] == at], shares, site)
            return site

        words = Words(f"Dirichlet(alpha={self.alpha:g})", ("raise partition.alpha",))
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words)


class Prior(Enum):
    """What the class mix of a site is drawn around."""

    cohort = "cohort"  # Dirichlet(alpha p), p the classes' shares of the cohort: Hsu et al., arXiv 1909.06335
    uniform = "uniform"  # Dirichlet(alpha, ..., alpha): FedDyn, Acar et al., ICLR 2021, and Flower and FedLab after it


@dataclass
class InnerDirichlet(Partition):
    """Definition B, sites to classes: sizes are equal, and each site draws a class mix q ~ Dirichlet.

    Sites take patients in turns drawn at random, each of a class drawn from q; a class of which nobody is left drops
    out of every q. The last turns take what is left, so that the mixes are somewhat nearer to each other than q.
    """

    sites: int = 4  # >= 1
    alpha: float = 0.5  # > 0; small = skewed
    prior: Prior = Prior.cohort
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)
        found = classes(cohort, outcome, self.by, group)
        centre = found.share if self.prior is Prior.cohort else np.ones(len(found.names))
        single = np.ones((self.sites, len(found.names)))

        def draw(number: int) -> Ints:
            rng = stream(seed, "partition", "inner_dirichlet", number)
            mix = rng.dirichlet(self.alpha * centre, self.sites)
            urn = Urn(mix, single, np.arange(len(found.names)), found.code)
            return fill(urn, group, self.sites, seed, "inner_dirichlet", number)

        words = Words(f"InnerDirichlet(alpha={self.alpha:g})", ("raise partition.alpha",))
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words)


@dataclass
class Pachinko(Partition):
    """Definition C, two levels: each site draws a mix of coarse classes and, in each, a mix of fine classes.

    Pachinko allocation: Li and McCallum, ICML 2006, as Reddi et al., ICLR 2021, deal CIFAR-100. Coarse mix
    ~ Dirichlet(alpha, ..., alpha), fine mixes ~ Dirichlet(beta, ..., beta); sizes are equal. Patients are taken in
    turns as in definition B: an exhausted fine class drops out of its coarse class, an exhausted coarse class of all.
    """

    sites: int = 4  # >= 1
    alpha: float = 0.1  # > 0; of the coarse mix; Reddi et al.
    beta: float = 10.0  # > 0; of the fine mixes; Reddi et al.
    coarse: str = "cancer"  # column; empty = the outcome
    fine: str = "stage"  # column; empty = the outcome

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.alpha", self.alpha, 0, open_low=True)
        within("partition.beta", self.beta, 0, open_low=True)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group = people(cohort, outcome)
        possible(group, self.sites, floors(self, cohort, outcome))
        coarse, fine = (classes(cohort, outcome, by, group) for by in (self.coarse, self.fine))
        # Fine classes are the pairs that occur, so that no site waits for a patient who does not exist.
        pairs, code = np.unique(coarse.code * len(fine.names) + fine.code, return_inverse=True)
        parent = pairs // len(fine.names)

        def draw(number: int) -> Ints:
            rng = stream(seed, "partition", "pachinko", number)
            top = rng.dirichlet(np.full(len(coarse.names), self.alpha), self.sites)
            # A symmetric Dirichlet is a normalised gamma; the urn normalises within the coarse class.
            inner = rng.standard_gamma(self.beta, (self.sites, len(pairs)))
            return fill(Urn(top, inner, parent, code), group, self.sites, seed, "pachinko", number)

        remedies = ("raise partition.alpha", "raise partition.beta")
        words = Words(f"Pachinko(alpha={self.alpha:g}, beta={self.beta:g})", remedies)
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words)
