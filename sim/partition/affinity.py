"""Affinity: one partition for many kinds of skew at once, a dial for each."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.cohort.table import Cohort
from sim.partition.affinity_axes import SEEKERS, drawn
from sim.partition.affinity_settings import AffinitySettings
from sim.partition.axes import weighed
from sim.partition.base import Sites
from sim.partition.gumbel import run
from sim.partition.minimums import floors
from sim.partition.redraw import DRAWS, Words, people, possible, redraw
from sim.partition.sizes import apportion
from sim.random import key

WORK = 2**32  # patient-site pairs that all draws together may cost


@dataclass
class Affinity(AffinitySettings):
    """P(site k | patient i) in proportion to size_k exp(sum over axes of kappa_a phi_a(i, k)), sizes kept exactly.

    Sizes: given weight x rank^-power x exp(sigma z), z normal. With every kappa at 0 patients are dealt IID in these
    sizes. The odds ratio of two patients between two sites is that of the formula whatever the sizes are.
    """

    def assign(self, cohort: Cohort, outcome: str, seed: int) -> Sites:
        """Name of the site of every row, str [R]."""
        group, used = people(cohort, outcome), self.kappa.used
        possible(group, self.sites, floors(self, cohort, outcome))
        seekers = {name: SEEKERS[name](self, cohort, group) for name in used}

        def draw(number: int) -> Ints:
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
