"""Known wrong implementations of uplinks, attacks, aggregators, personal roles, systems and clustered methods."""

import heapq
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch

from sim.engine import clusters
from sim.engine.clusters import IFCA
from sim.methods.aggregators import Krum, Mean, Median, MultiKrum
from sim.methods.attacks import SignFlip
from sim.methods.contract import Correction, Phase
from sim.methods.personal import MRMTL, Ditto, FedBABU, FedPer, FedRep, FineTune, LGFedAvg
from sim.methods.systems.base import Tick
from sim.methods.systems.buffered import Buffered
from sim.methods.systems.sync import Sync
from sim.methods.uplink.base import Encoded
from sim.methods.uplink.clip import AdaptiveClip, Clip
from sim.methods.uplink.topk import TopK
from tests.verify.wrong import wrong

# --- top-k


@wrong("topk")
class ForgetsError(TopK):
    """What was not sent is lost although it should wait."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(state={"error": torch.zeros_like(u)})


@wrong("topk")
class NeverSubtracts(TopK):
    """The error keeps what was sent: it is sent again and again."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(state={"error": u + at.site["error"]})


@wrong("topk")
class Smallest(TopK):
    """The smallest entries."""

    def encode(self, u, at, draw):
        whole = u + at.site["error"] if self.feedback else u
        place = whole.abs().topk(self.count(whole.shape[1]), dim=1, largest=False).indices
        sent = torch.zeros_like(whole).scatter(1, place, whole.gather(1, place))
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(whole)})


@wrong("topk")
class LargestSigned(TopK):
    """The largest entries with their sign, not by size."""

    def encode(self, u, at, draw):
        whole = u + at.site["error"] if self.feedback else u
        place = whole.topk(self.count(whole.shape[1]), dim=1).indices
        sent = torch.zeros_like(whole).scatter(1, place, whole.gather(1, place))
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(whole)})


@wrong("topk")
class RoundsDown(TopK):
    """int(ratio P): nothing at all is sent of a small vector."""

    def count(self, size):
        return int(self.ratio * size)


# --- clip


@wrong("clip")
class PerCoordinate(Clip):
    """Every coordinate is cut off at the bound, which turns the vector."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(vector=u.clamp(-self.bound, self.bound))


@wrong("clip")
class ClipsMean(Clip):
    """The aggregate is clipped, not what leaves a site: no bound on what one hospital contributes."""

    def encode(self, u, at, draw):
        return super().encode(u, at, draw)._replace(vector=u)

    def decode(self, mean, at, draw):
        return mean * (self.bound / mean.norm()).clamp(max=1.0)


@wrong("clip")
class ScalesUp(Clip):
    """Every vector gets the length of the bound, the short ones too."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(vector=u * (self.bound / u.norm(dim=1))[:, None])


@wrong("clip")
class SendsBit(Clip):
    """A fixed bound that still sends who was within, which nobody reads."""

    sends = ("within",)

    def encode(self, u, at, draw):
        return super().encode(u, at, draw)._replace(scalars={"within": (u.norm(dim=1) <= self.bound).to(u.dtype)})


# --- adaptive clip


@wrong("adaptiveclip")
class WrongWay(AdaptiveClip):
    """The bound grows when too many are within."""

    def learn(self, sent, state, draw):
        return {"log": 2 * state["log"] - super().learn(sent, state, draw)["log"]}


@wrong("adaptiveclip")
class BitAfterClip(AdaptiveClip):
    """The norm is compared after clipping, so that everybody is within."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(scalars={"within": torch.ones(len(u), dtype=u.dtype)})


@wrong("adaptiveclip")
class SendsNorm(AdaptiveClip):
    """A whole number travels where a bit would do."""

    scalar_bits = {}


@wrong("adaptiveclip")
class NoisyMean(AdaptiveClip):
    """The noise on the sum of the bits is added to their mean."""

    def learn(self, sent, state, draw):
        louder = replace(self, noise=self.noise * len(sent["within"]))
        return AdaptiveClip.learn(louder, sent, state, draw)


# --- attacks


@wrong("signflip")
class FlipsScalars(SignFlip):
    """Scalars of the message change their sign too, so that a norm or a loss becomes negative."""

    def tamper(self, sent, bad):
        flipped = super().tamper(sent, bad)
        return {name: part if part.dim() == 2 else part.where(~bad, -part) for name, part in flipped.items()}


@wrong("signflip")
class NoScale(SignFlip):
    """The sign alone."""

    def tamper(self, sent, bad):
        return SignFlip(scale=1.0).tamper(sent, bad)


@wrong("signflip")
class AllLie(SignFlip):
    """Honest sites lie as well."""

    def tamper(self, sent, bad):
        return super().tamper(sent, torch.ones_like(bad))


# --- aggregators


@wrong("mean")
class Unweighted(Mean):
    """Every upload counts the same, wherever whole uploads are averaged."""

    def combine(self, sent, p):
        return {name: part.mean(0) for name, part in sent.items()}


@wrong("mean")
class UnweightedAlways(Mean):
    """The same, and whole uploads are asked for."""

    whole = True

    def combine(self, sent, p):
        return {name: part.mean(0) for name, part in sent.items()}


@wrong("median")
class IgnoresWeights(Median):
    """Every upload counts the same: Flower, FederatedScope, FedML."""

    def combine(self, sent, p):
        return super().combine(sent, torch.full_like(p, 1 / len(p)))


@wrong("median")
class LowerMiddle(Median):
    """The lower of the two middle values, as torch.median has it."""

    def combine(self, sent, p):
        def low(values):
            ordered, order = values.reshape(len(p), -1).sort(dim=0)
            place = (p[order].cumsum(0) < 0.5 - 1e-9).sum(0)
            return ordered.gather(0, place[None])[0].reshape(values.shape[1:])

        return {name: low(part) for name, part in sent.items()}


@wrong("median")
class ByNorm(Median):
    """The upload of median length, not the median of each coordinate."""

    def combine(self, sent, p):
        norms = torch.cat([part.reshape(len(p), -1) for part in sent.values()], dim=1).norm(dim=1)
        return {name: part[norms.argsort()[len(p) // 2]] for name, part in sent.items()}


@wrong("krum")
class OneNeighbourMore(Krum):
    """Scores over M - f - 1 others."""

    def chosen(self, sent):
        return Krum(f=self.f - 1).chosen(sent)


@wrong("krum")
class Farthest(Krum):
    """The upload of the largest score."""

    def chosen(self, sent):
        return torch.from_numpy(self.ranked(sent)[-1:])


@wrong("krum")
class Averages(Krum):
    """The mean of the M - f best, Multi-Krum under Krum's name."""

    def chosen(self, sent):
        return MultiKrum(f=self.f).chosen(sent)


@wrong("krum")
class PartByPart(Krum):
    """Every vector of a message from a site of its own."""

    def aggregate(self, sent, p, state, draw):
        whole = super().aggregate(sent, p, state, draw)
        vectors = [name for name, part in sent.items() if part.dim() == 2]
        return whole._replace(
            mean=whole.mean | {name: super(PartByPart, self).combine({name: sent[name]}, p)[name] for name in vectors}
        )


# --- personal


@wrong("ditto")
class OwnStart(Ditto):
    """Pulls to where the site's own model begins the round, not to the model received: the leash has no post."""

    def second(self, at):
        return Phase(at.steps, Correction(pull=self.lam, anchor=at.start))


@wrong("ditto")
class NextModel(Ditto):
    """Pulls to the server's next model: own models are trained after the answer has come, here foreseen in a line."""

    def second(self, at):
        seen = vars(self).setdefault("_seen", [at.x[0], at.x[0]])
        if not torch.equal(seen[1], at.x[0]):
            seen[:] = [seen[1], at.x[0].clone()]
        return Phase(at.steps, Correction(pull=self.lam, anchor=at.x + (seen[1] - seen[0])))


@wrong("ditto")
class Unleashed(Ditto):
    """Local training beside the shared model."""

    def second(self, at):
        return Phase(at.steps, Correction())


@wrong("ditto")
class PullsShared(Ditto):
    """The shared model's steps are pulled as well: FedProx beside it."""

    def phases(self, algorithm, at, private):
        return (Phase(at.steps, Correction(pull=self.lam)),)


@wrong("fedper")
class AveragesHead(FedPer):
    """The head travels and is averaged: FedAvg."""

    def private(self, layout):
        return torch.zeros(layout.size, dtype=torch.bool)


@wrong("fedper")
class SharesNothing(FedPer):
    """All layers stay at home."""

    def private(self, layout):
        return torch.ones(layout.size, dtype=torch.bool)


@wrong("fedper")
class KeepsBody(FedPer):
    """The body stays and the head travels: LG-FedAvg under FedPer's name."""

    def private(self, layout):
        return ~super().private(layout)


@wrong("fedrep")
class TrainsTogether(FedRep):
    """Head and body move together in all steps, which is FedPer: several ports of FedRep."""

    def phases(self, algorithm, at, private):
        return (Phase(at.steps, algorithm.correction(at)),)


@wrong("fedrep")
class BodyFirst(FedRep):
    """The body is trained before the head has seen it."""

    def phases(self, algorithm, at, private):
        return super().phases(algorithm, at, private)[::-1]


@wrong("fedrep")
class BodyMovesToo(FedRep):
    """The body is not held while the head is trained."""

    def phases(self, algorithm, at, private):
        head, body = super().phases(algorithm, at, private)
        return (head._replace(moves=None), body)


@wrong("lgfedavg")
class SharesBody(LGFedAvg):
    """The body travels and the head stays: FedPer under LG-FedAvg's name."""

    def private(self, layout):
        return ~super().private(layout)


@wrong("fedbabu")
class HeadMoves(FedBABU):
    """The head is trained in the rounds as well."""

    def phases(self, algorithm, at, private):
        return (Phase(at.steps, algorithm.correction(at)),)

    def received(self, x, own, private):
        return torch.where(private, own, x)


@wrong("fedbabu")
class TravelsWithHead(FedBABU):
    """The head stands still and is sent all the same."""

    def private(self, layout):
        return torch.zeros(layout.size, dtype=torch.bool)


@wrong("fedbabu")
class NeverAdapts(FedBABU):
    """Sites deploy what they trained in their last round."""

    @property
    def adapted(self):
        return None


@wrong("mrmtl")
class BeginsAtMean(MRMTL):
    """Local models are thrown away each round: FedProx."""

    persists = False


@wrong("mrmtl")
class PullsToOwnStart(MRMTL):
    """The pull is to where the site's own model begins the round."""

    def phases(self, algorithm, at, private):
        return (Phase(at.steps, Correction(pull=self.lam, anchor=at.start)),)


@wrong("mrmtl")
class NoPull(MRMTL):
    """Local training, whose mean nobody feels."""

    def phases(self, algorithm, at, private):
        return (Phase(at.steps, Correction()),)


@wrong("finetune")
class DeploysLocal(FineTune):
    """Sites deploy the model that they trained in their last round, not one adapted from the last mean."""

    @property
    def adapted(self):
        return None


@wrong("finetune")
class AdaptsWholeRound(FineTune):
    """One step too many."""

    def adaptation(self, at, private):
        phase = super().adaptation(at, private)
        return phase._replace(steps=phase.steps + 1)


# --- systems


@wrong("sync")
class CountsLateWhole(Sync):
    """Work that the deadline cut short is carried out whole."""

    def ticks(self, profile, rounds, losses):
        for tick in super().ticks(profile, rounds, losses):
            yield replace(tick, steps=profile.steps[tick.start])


@wrong("sync")
class DropsPartial(Sync):
    """Stragglers are dropped although their partial work should count."""

    def ticks(self, profile, rounds, losses):
        for tick in super().ticks(profile, rounds, losses):
            kept = tick.steps == profile.steps[tick.start]
            some = tick.start[kept]
            yield replace(tick, start=some, arrive=some, steps=tick.steps[kept], stale=tick.stale[kept])


@wrong("sync")
class KeepsPartial(Sync):
    """Partial work counts although it should be lost."""

    def ticks(self, profile, rounds, losses):
        return Sync(**{**vars(self), "partial": True}).ticks(profile, rounds, losses)


@wrong("buffered")
class NoDiscount(Buffered):
    """Late uploads count whole: FLGo."""

    def discount(self, stale):
        return np.ones(len(stale))


@wrong("buffered")
class Renormalised(Buffered):
    """Divided by the sum of the discounts, so that a buffer of late uploads counts whole: FedScale."""

    def discount(self, stale):
        return super().discount(stale) / super().discount(stale).mean()


@wrong("buffered")
class RootInside(Buffered):
    """1 / (1 + s^power): NVFlare."""

    def discount(self, stale):
        return 1 / (1 + stale**self.power)


@wrong("buffered")
class ForgetsStaleness(Buffered):
    """Every upload passes for one on the newest model."""

    def ticks(self, profile, rounds, losses):
        for tick in super().ticks(profile, rounds, losses):
            yield replace(tick, stale=np.zeros_like(tick.stale))


@wrong("buffered")
class RestartsEarly(Buffered):
    """A site begins again before its upload was taken, and writes over it."""

    def ticks(self, profile, rounds, losses):
        takes = self.travel(profile) + self.slowness(profile) * profile.steps
        busy = [(takes[site], site, 0) for site in profile.members.tolist()]
        heapq.heapify(busy)
        asked = profile.members.tolist()
        for number in range(rounds):
            waiting = {}
            while len(waiting) < self.uploads(len(profile.members)):
                now, site, model = heapq.heappop(busy)
                waiting[site] = model
                heapq.heappush(busy, (now + takes[site], site, number))
                asked.append(site)
            start, arrive = np.unique(asked), np.array(sorted(waiting))
            stale = number - np.array([waiting[site] for site in arrive.tolist()])
            yield Tick(now, np.sort(asked), start, profile.steps[start], arrive, stale)
            asked = []


# --- IFCA


@wrong("ifca")
class ByOtherRows(IFCA):
    """A site chooses by its loss over rows that it does not train on, such as validation; here its neighbour's."""

    def rounds(self, plan, crew):
        def fitting(crew, models, sites):
            return clusters.costs(crew, models, (sites + 1) % len(plan.federation.sites)).argmin(0)

        with patch.object(clusters, "fitting", fitting):
            yield from super().rounds(plan, crew)


@wrong("ifca")
class LargestLoss(IFCA):
    """A site trains the model that fits it least."""

    def rounds(self, plan, crew):
        def fitting(crew, models, sites):
            return clusters.costs(crew, models, sites).argmax(0)

        with patch.object(clusters, "fitting", fitting):
            yield from super().rounds(plan, crew)


@wrong("ifca")
class OverAllSites(IFCA):
    """A cluster's changes are divided by the weight of all sites, not of its own: it crawls where they should walk."""

    def rounds(self, plan, crew):
        whole = clusters.advance

        def advance(plan, crew, here, tick):
            moved, done = whole(plan, crew, here, tick)
            weights = plan.weights(here.state)
            share = weights[tick.arrive].sum() / weights[tick.asked].sum()
            return replace(moved, x=here.x + share * (moved.x - here.x)), done

        with patch.object(clusters, "advance", advance):
            yield from super().rounds(plan, crew)
