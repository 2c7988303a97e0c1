"""Known wrong implementations of systems with an order of their own and of methods with a loop of their own."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from sim.engine import cfl
from sim.engine.cfl import CFL
from sim.methods.systems.cyclic import Cyclic
from sim.random import stream
from tests.verify.wrong import wrong

# --- cyclic transfer


@wrong("cyclic")
class NewOrder(Cyclic):
    """Every cycle has an order of its own: FLamby without `deterministic_cycle`."""

    def ticks(self, profile, rounds, losses):
        size = len(profile.members)
        for number, tick in enumerate(super().ticks(profile, rounds, losses)):
            drawn = stream(profile.seed, "cycle", number // size).permutation(profile.members)[[number % size]]
            yield replace(tick, asked=drawn, start=drawn, arrive=drawn, steps=profile.steps[drawn])


@wrong("cyclic")
class ByName(Cyclic):
    """The order of the sites' names, whatever the seed."""

    def order(self, profile):
        return profile.members


@wrong("cyclic")
class SideBySide(Cyclic):
    """A cycle takes as long as its slowest site."""

    def ticks(self, profile, rounds, losses):
        whole = self.travel(profile) + float((self.slowness(profile) * profile.steps)[profile.members].max())
        for number, tick in enumerate(super().ticks(profile, rounds, losses)):
            yield replace(tick, seconds=whole * (number // len(profile.members) + 1))


@wrong("cyclic")
class AllAtOnce(Cyclic):
    """The mean of all sites' work under the name of one: FedAvg."""

    def ticks(self, profile, rounds, losses):
        late = np.zeros(len(profile.members), dtype=np.int64)
        for tick in super().ticks(profile, rounds, losses):
            every = profile.members
            yield replace(tick, asked=every, start=every, arrive=every, steps=profile.steps[every], stale=late)


# --- CFL


@wrong("cfl")
class CompleteLinkage(CFL):
    """Two clusters by complete linkage: the authors' code."""

    def rounds(self, plan, crew):
        def bipartition(similar):
            tree = linkage(squareform(1 - similar, checks=False), "complete")
            part = fcluster(tree, 2, "maxclust") == 2
            return part, similar[part][:, ~part].max()

        with patch.object(cfl, "bipartition", bipartition):
            yield from super().rounds(plan, crew)


@wrong("cfl")
class UndividedNorms(CFL):
    """Thresholds on the updates themselves, which shrink with lr: the authors' code, FL-bench."""

    def split(self, plan, crew, here, part, size):
        way = plan.training.rate(here.number) * plan.training.norm(part.steps).mean() / 0.15
        return CFL(self.eps1 / way, self.eps2 / way, self.gamma).split(plan, crew, here, part, size)


@wrong("cfl")
class NeverAtRest(CFL):
    """Splits as soon as a site's update is long, before the cluster has come to rest."""

    def split(self, plan, crew, here, part, size):
        return CFL(1e9, self.eps2, self.gamma).split(plan, crew, here, part, size)


@wrong("cfl")
class ByDistance(CFL):
    """Compares updates by their distance, not by their angle."""

    def rounds(self, plan, crew):
        def cosines(sent):
            return -np.linalg.norm((sent[:, None] - sent[None]).numpy(), axis=2)

        with patch.object(cfl, "cosines", cosines):
            yield from super().rounds(plan, crew)


@wrong("cfl")
class AlwaysSplits(CFL):
    """At rest is enough: sites that agree are split too."""

    def split(self, plan, crew, here, part, size):
        return CFL(self.eps1, 0.0, self.gamma).split(plan, crew, here, part, size)
