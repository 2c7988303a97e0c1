"""Affinity: one partition for many kinds of skew at once, with a strength for each."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Ints
from sim.cohort.table import Cohort
from sim.partition.affinity_axes import AXES, draw_sites
from sim.partition.affinity_settings import AffinitySettings
from sim.partition.axes import total_affinity
from sim.partition.gumbel import assign_by_affinity
from sim.partition.redraw import DRAWS, LabelledPatients, Plan
from sim.partition.sizes import apportion
from sim.random import key

WORK = 2**32  # patient-site pairs that all draws together may look at


@dataclass
class Affinity(AffinitySettings):
    """P(site k | patient i) in proportion to size_k exp(sum over axes of kappa_a phi_a(i, k)), sizes kept exactly.

    Sizes: given weight x rank^-power x exp(sigma z), z standard normal. With every kappa at 0 patients are assigned IID
    with these sizes. Whatever the sizes are, the odds ratio of two patients between two sites is that of the formula.
    """

    def plan(self, cohort: Cohort, outcome: str, patients: LabelledPatients, seed: int) -> Plan:
        """Draws of the sites' sizes and traits, and of the noise by which patients choose among them."""
        used, total = self.kappa.used, len(patients.word)
        axes_of = {name: AXES[name](self, cohort, patients) for name in used}  # columns are read once for all draws

        def draw(number: int) -> Ints:
            sites = draw_sites(self, seed, number)
            # A floor of rows is met by making sites large enough, not by drawing until they happen to be.
            sizes = apportion(sites.size, total, min(self.min_rows, total // self.sites))
            axes = [(used[name], axis) for name, draw_axes in axes_of.items() for axis in draw_axes(sites)]
            noise = key(seed, "partition", "affinity", number, "noise")
            order = patients.shuffled(seed, "affinity", number)
            return assign_by_affinity(total_affinity(axes, self.sites), patients.word, order, sizes, noise)

        title = ", ".join(f"{name}={kappa:g}" for name, kappa in used.items())
        remedies: tuple[str, ...] = ("lower a partition.kappa",) if used else ()
        if self.power or self.sigma or self.sizes:
            remedies += ("make the sizes more equal",)
        # A draw looks at every pair of patient and site, so a cohort with very many pairs gets fewer draws.
        draws = int(np.clip(WORK // (total * self.sites), 1, DRAWS))
        return Plan(draw, f"Affinity({title})", remedies, draws)
