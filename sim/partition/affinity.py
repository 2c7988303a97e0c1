"""Affinity: one partition for many kinds of skew at once, a dial for each."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.cohort.table import Cohort
from sim.partition import archetype
from sim.partition.archetype import Archetype
from sim.partition.axes import weighed
from sim.partition.base import Partition, Sites
from sim.partition.deal import DRAWS, Words, people, possible, redraw
from sim.partition.floors import floors
from sim.partition.race import run
from sim.partition.seekers import SEEKERS, drawn
from sim.partition.sizes import apportion
from sim.partition.strengths import Columns, Kappa
from sim.random import key

WORK = 2**32  # patient-site pairs that all draws together may cost


@dataclass
class Affinity(Partition):
    """P(site k | patient i) in proportion to size_k exp(sum over axes of kappa_a phi_a(i, k)), sizes kept exactly.

    Sizes: given weight x rank^-power x exp(sigma z), z normal. With every kappa at 0 patients are dealt IID in these
    sizes. The odds ratio of two patients between two sites is that of the formula whatever the sizes are.
    """

    sites: int = 4  # >= 1
    kappa: Kappa = field(default_factory=Kappa)
    columns: Columns = field(default_factory=Columns)
    power: float = 0.0  # 0..3; Zipf: site k is k^-power as large as the first; 0 = equal
    sigma: float = 0.0  # 0..3; sd of the log size; 0.9 is what published federations look like
    sizes: list[float] = field(default_factory=list)  # > 0, relative; empty = by the laws alone
    archetypes: dict[str, Archetype] = field(default_factory=archetype.known)
    referral: int = 1  # 1..sites; the largest sites are those to which rare cancers are referred
    rare_below: float = 0.05  # (0, 1); a cancer with a smaller share of the cohort is rare
    catchment_km: float = 50.0  # > 0; distance at which the odds have fallen by e, at kappa.geography = 1
    time_width: float = 0.25  # > 0; sd of a site's window at kappa.time = 1, share of all diagnoses

    def __post_init__(self) -> None:
        super().__post_init__()
        within("partition.sites", self.sites, 1)
        within("partition.power", self.power, 0, 3)
        within("partition.sigma", self.sigma, 0, 3)
        within("partition.referral", self.referral, 1, self.sites)
        within("partition.rare_below", self.rare_below, 0, 1, open_low=True, open_high=True)
        within("partition.catchment_km", self.catchment_km, 0, open_low=True)
        within("partition.time_width", self.time_width, 0, open_low=True)
        if self.sizes and len(self.sizes) != self.sites:
            raise Refused(
                f"partition.sizes={self.sizes}: {len(self.sizes)} sizes for partition.sites={self.sites}. "
                "Give one relative size a site, or none."
            )
        for at, size in enumerate(self.sizes):
            within(f"partition.sizes[{at}]", size, 0, open_low=True)
        archetype.check(self.archetypes)

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group, used = people(cohort, outcome), self.kappa.used
        possible(group, self.sites, floors(self, cohort, outcome))
        seekers = {name: SEEKERS[name](self, cohort, group) for name in used}

        def draw(number: int) -> NDArray[np.int64]:
            at = drawn(self, seed, number)
            # A floor of rows is met by sizes, not by luck: no row of a patient is lost.
            least = min(self.min_rows, len(group.word) // self.sites)
            sizes = apportion(at.large, len(group.word), least)
            seen = [(used[name], axis) for name, seek in seekers.items() for axis in seek(at)]
            affinity = weighed(seen, self.sites)
            order = group.shuffled(seed, "affinity", number)
            return run(affinity, group.word, order, sizes, key(seed, "partition", "affinity", number, "noise"))

        title = ", ".join(f"{name}={kappa:g}" for name, kappa in used.items())
        remedies: tuple[str, ...] = ("lower a partition.kappa",) if used else ()
        if self.power or self.sigma or self.sizes:
            remedies += ("make the sizes more equal",)
        # A draw looks at every pair of patient and site, so that there are fewer of them where there are very many.
        draws = int(np.clip(WORK // (len(group.word) * self.sites), 1, DRAWS))
        words = Words(f"Affinity({title})", remedies)
        return redraw(group, self.sites, floors(self, cohort, outcome), draw, words, draws)
