"""Known wrong implementations of methods that depend on who takes part, and of those with a loop of their own."""

from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from sim.engine import cfl, fedem, gossip, oneshot
from sim.engine.cfl import CFL
from sim.engine.fedem import FedEM
from sim.engine.gossip import Gossip
from sim.engine.oneshot import How, OneShot
from sim.local import stacked
from sim.methods.algorithms.mifa import MIFA
from sim.methods.systems.cyclic import Cyclic
from sim.methods.systems.powerofchoice import PowerOfChoice
from sim.random import stream
from tests.verify.wrong import wrong


@contextmanager
def traced_anew():
    """Inside, objectives are traced with what is patched; outside, nobody sees those traces."""
    stacked._traced.clear()
    yield
    stacked._traced.clear()


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


# --- one-shot


@wrong("oneshot")
class PlainMean(OneShot):
    """Every model counts the same although rows were asked for."""

    def scored(self, plan, crew, here, models):
        if self.how is How.average and here.number == plan.rounds:
            models = torch.from_numpy(crew.memory.read(plan.federation.members, names=["own"])["own"]).mean(0)[None]
        return super().scored(plan, crew, here, models)


@wrong("oneshot")
class WeightedEnsemble(OneShot):
    """Predictions are weighed by rows."""

    def scored(self, plan, crew, here, models):
        done = super().scored(plan, crew, here, models)
        if self.how is How.average or len(models) == 1:
            return done
        rows = plan.federation.rows[plan.federation.members]
        return replace(done, mixture=(rows / rows.sum())[None])


@wrong("oneshot")
class StartsAgain(OneShot):
    """Every round begins at the common start: training to the end is a single round."""

    def rounds(self, plan, crew):
        def alone(plan, crew, x, factor, over):
            for number in range(1, plan.rounds + 1):
                yield from (number for _ in whole(replace(plan, rounds=1), crew, x, factor))

        whole = oneshot.alone
        with patch.object(oneshot, "alone", alone):
            yield from super().rounds(plan, crew)


@wrong("oneshot")
class FreeEnsemble(OneShot):
    """The download of all models is not counted."""

    def rounds(self, plan, crew):
        for here in super().rounds(plan, crew):
            yield replace(here, bytes_down=0) if here.number == plan.rounds > 1 else here


# --- FedEM


@wrong("fedem")
class FixedShares(FedEM):
    """Shares stay 1 / J: responsibilities without the site's own prior."""

    def rounds(self, plan, crew):
        def write(sites, current, state):
            same = {name: np.full_like(part, 1 / self.components) for name, part in state.items() if "share" in name}
            whole(sites, current, state | same)

        whole = crew.memory.write
        with patch.object(type(crew.memory), "write", lambda memory, *words: write(*words)):
            yield from super().rounds(plan, crew)


@wrong("fedem")
class Hard(FedEM):
    """Every row counts for its likeliest component alone."""

    def rounds(self, plan, crew):
        def responsibilities(loss, share):
            q = share.log() - loss
            return (q == q.max(0, keepdim=True).values).to(q.dtype)

        with traced_anew(), patch.object(fedem, "responsibilities", responsibilities):
            yield from super().rounds(plan, crew)


@wrong("fedem")
class MovedAlready(FedEM):
    """A component is weighed by models of this round that have moved before it."""

    def rounds(self, plan, crew):
        def advance(plan, crew, one, tick):
            for at, x in enumerate(latest[: int(one.state["which"])]):
                one.state[f"component.{at}"] = x
            moved, done = whole(plan, crew, one, tick)
            latest[int(one.state["which"]) :] = [moved.x]
            return moved, done

        whole, latest = fedem.advance, []
        with patch.object(fedem, "advance", advance):
            yield from super().rounds(plan, crew)


@wrong("fedem")
class WeightsOfMeanOne(FedEM):
    """Weights J q, whose mean over components is 1: every component walks as far as if all rows were its own."""

    def rounds(self, plan, crew):
        def mean_over(rows, valid):
            return self.components * whole(rows, valid)

        whole = fedem.mean_over
        with traced_anew(), patch.object(fedem, "mean_over", mean_over):
            yield from super().rounds(plan, crew)


@wrong("fedem")
class OneModelCounted(FedEM):
    """Bytes of one model, for J that travel."""

    def rounds(self, plan, crew):
        for here in super().rounds(plan, crew):
            yield replace(
                here, bytes_down=here.bytes_down // self.components, bytes_up=here.bytes_up // self.components
            )


# --- gossip


@wrong("gossip")
class ByOwnDegree(Gossip):
    """Weights 1 / (1 + deg_k): rows sum to 1 and columns do not, so that hubs count more."""

    def rounds(self, plan, crew):
        def metropolis(links, sites):
            near = np.eye(sites)
            near[tuple(links.T)] = near[tuple(links.T[::-1])] = 1
            return csr_array(near / near.sum(1, keepdims=True))

        with patch.object(gossip, "metropolis", metropolis):
            yield from super().rounds(plan, crew)


@wrong("gossip")
class WithoutItself(Gossip):
    """The mean of the neighbours, without the site's own model: on an even ring models swap places for ever."""

    def rounds(self, plan, crew):
        def metropolis(links, sites):
            w = whole(links, sites).toarray()
            np.fill_diagonal(w, 0.0)
            return csr_array(w / np.maximum(w.sum(1, keepdims=True), 1e-9))

        whole = gossip.metropolis
        with patch.object(gossip, "metropolis", metropolis):
            yield from super().rounds(plan, crew)


@wrong("gossip")
class OneOrder(Gossip):
    """Mixes after the steps whatever was asked for."""

    def rounds(self, plan, crew):
        yield from Gossip(self.graph, self.chance).rounds(plan, crew)


@wrong("gossip")
class AsksAbsent(Gossip):
    """Sites that take no part in a round are mixed with all the same."""

    def rounds(self, plan, crew):
        links = self.links(len(plan.federation.members), plan.seed)
        fixed = gossip.metropolis(links, len(plan.federation.members))
        with patch.object(gossip, "metropolis", lambda links, sites: fixed):
            yield from super().rounds(plan, crew)


@wrong("gossip")
class OneModelEach(Gossip):
    """One model down and up for every site, as with a server."""

    def rounds(self, plan, crew):
        size = plan.task.layout.size * plan.federation.x.itemsize
        for here in super().rounds(plan, crew):
            yield replace(here, bytes_down=here.sites * size, bytes_up=here.sites * size)


# --- MIFA


@wrong("mifa")
class OverThoseThatAnswered(MIFA):
    """FedAvg under another name: absent sites do not count."""

    def upload(self, w, at):
        return {"change": w - at.x}, {"last": w - at.x}

    def server(self, heard, state):
        return heard.mean["change"], {"memory": state["memory"]}


@wrong("mifa")
class NeverReplaced(MIFA):
    """Updates are added to the memory and the old ones stay in it."""

    def upload(self, w, at):
        return {"change": w - at.x}, {"last": w - at.x}


@wrong("mifa")
class ByThoseHeard(MIFA):
    """The change is divided by the weight of the sites that answered, not of all."""

    def server(self, heard, state):
        memory = state["memory"] + heard.mean["change"]
        return memory, {"memory": memory}


@wrong("mifa")
class OneRoundLate(MIFA):
    """The server moves by the memory before this round's updates."""

    def server(self, heard, state):
        memory = state["memory"] + heard.share * heard.mean["change"]
        return state["memory"], {"memory": memory}


# --- power-of-choice


@wrong("powerofchoice")
class SmallestLoss(PowerOfChoice):
    """Those that need it least train."""

    def ticks(self, profile, rounds, losses):
        yield from super().ticks(profile, rounds, lambda sites: -losses(sites))


@wrong("powerofchoice")
class DrawnAlike(PowerOfChoice):
    """Candidates are drawn whatever their size."""

    def ticks(self, profile, rounds, losses):
        alike = replace(profile, share=(profile.share > 0) / (profile.share > 0).sum())
        yield from super().ticks(alike, rounds, losses)


@wrong("powerofchoice")
class CountsChosenAlone(PowerOfChoice):
    """The candidates' downloads and losses cost nothing."""

    def ticks(self, profile, rounds, losses):
        for tick in super().ticks(profile, rounds, losses):
            yield replace(tick, asked=tick.start, told=0)


@wrong("powerofchoice")
class FreeLosses(PowerOfChoice):
    """The losses that candidates tell are not counted."""

    def ticks(self, profile, rounds, losses):
        for tick in super().ticks(profile, rounds, losses):
            yield replace(tick, told=0)
