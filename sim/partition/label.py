"""Label skew: sites differ in how often each class occurs. The three laws that all go by the name of Dirichlet."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np

from sim.arrays import Ints
from sim.cohort.table import Cohort
from sim.partition.columns import dealt_classes
from sim.partition.redraw import LabelledPatients, Plan, RandomPartition, deal_shares
from sim.partition.urn import Urn, deal_from_urn
from sim.random import stream


@dataclass
class Dirichlet(RandomPartition):
    """Definition A, classes to sites: each class is divided over the sites in shares q ~ Dirichlet(alpha, ..., alpha).

    Yurochkin et al., ICML 2019; NIID-Bench, Li et al., ICDE 2022, without its balancing line, which sets q to 0 at
    sites that already hold 1/S of the rows and so gives a much weaker skew under the same alpha. Sizes become skewed
    with the labels. Classes of a survival outcome are whether the event happened.
    """

    positive: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 0.5  # > 0; small = skewed, large = IID; NIID-Bench's usual value
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """For each class, a shuffle of its patients cut into pieces by a draw of q."""
        code, names = dealt_classes(cohort, outcome, self.by, patients)

        def draw(number: int) -> Ints:
            site = np.empty(len(patients.word), dtype=np.int64)
            order = patients.shuffled(seed, "dirichlet", number)
            for c in range(len(names)):
                shares = stream(seed, "partition", "dirichlet", number, c).dirichlet(np.full(self.sites, self.alpha))
                deal_shares(order[code[order] == c], shares, site)
            return site

        return Plan(draw, f"Dirichlet(alpha={self.alpha:g})", ("raise partition.alpha",))


class Prior(Enum):
    """What the class mix of a site is drawn around."""

    cohort = "cohort"  # Dirichlet(alpha p), p the classes' shares of the cohort: Hsu et al., arXiv 1909.06335
    uniform = "uniform"  # Dirichlet(alpha, ..., alpha): FedDyn, Acar et al., ICLR 2021, and Flower and FedLab after it


@dataclass
class InnerDirichlet(RandomPartition):
    """Definition B, sites to classes: sizes are equal, and each site draws a class mix q ~ Dirichlet.

    Sites take patients in turns drawn at random, each of a class drawn from the site's q; a class of which nobody is
    left drops out of every q. The last turns take what is left, so the realised mixes are nearer to each other than q.
    """

    positive: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 0.5  # > 0; small = skewed
    prior: Prior = Prior.cohort
    by: str = ""  # column whose levels are the classes; empty = the outcome

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Urns, each with a draw of q for every site."""
        classes = dealt_classes(cohort, outcome, self.by, patients)
        centre = classes.share if self.prior is Prior.cohort else np.ones(len(classes.names))
        single = np.ones((self.sites, len(classes.names)))  # every coarse class is one fine class

        def draw(number: int) -> Ints:
            q = stream(seed, "partition", "inner_dirichlet", number).dirichlet(self.alpha * centre, self.sites)
            urn = Urn(q, single, np.arange(len(classes.names)), classes.code)
            return deal_from_urn(urn, patients, self.sites, seed, "inner_dirichlet", number)

        return Plan(draw, f"InnerDirichlet(alpha={self.alpha:g})", ("raise partition.alpha",))


@dataclass
class Pachinko(RandomPartition):
    """Definition C, two levels: each site draws a mix of coarse classes and, in each, a mix of fine classes.

    Pachinko allocation: Li and McCallum, ICML 2006, as Reddi et al., ICLR 2021, divide CIFAR-100. Coarse mix
    ~ Dirichlet(alpha, ..., alpha), fine mixes ~ Dirichlet(beta, ..., beta); sizes are equal. Patients are taken in
    turns as in definition B: an exhausted fine class drops out of its coarse class, an exhausted coarse class of all.
    """

    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")

    alpha: float = 0.1  # > 0; of the coarse mix; Reddi et al.
    beta: float = 10.0  # > 0; of the fine mixes; Reddi et al.
    coarse: str = "cancer"  # column; empty = the outcome
    fine: str = "stage"  # column; empty = the outcome

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Urns, each with a draw of the coarse mix and of the fine mixes for every site."""
        coarse, fine = (dealt_classes(cohort, outcome, by, patients) for by in (self.coarse, self.fine))
        # Fine classes are the pairs that occur, so that no site waits for a patient who does not exist.
        pairs, code = np.unique(coarse.code * len(fine.names) + fine.code, return_inverse=True)
        parent = pairs // len(fine.names)

        def draw(number: int) -> Ints:
            rng = stream(seed, "partition", "pachinko", number)
            top = rng.dirichlet(np.full(len(coarse.names), self.alpha), self.sites)
            # A symmetric Dirichlet is a normalised gamma; the urn normalises within the coarse class.
            inner = rng.standard_gamma(self.beta, (self.sites, len(pairs)))
            return deal_from_urn(Urn(top, inner, parent, code), patients, self.sites, seed, "pachinko", number)

        title = f"Pachinko(alpha={self.alpha:g}, beta={self.beta:g})"
        return Plan(draw, title, ("raise partition.alpha", "raise partition.beta"))
