"""Wrong implementations of the algorithms that weigh sites by their losses."""

from dataclasses import replace

import torch

from sim.methods.algorithms.afl import AFL
from sim.methods.algorithms.feddgga import FedDGGA
from sim.methods.algorithms.fedmgda import FedMGDA
from sim.methods.algorithms.lossparity import LossParity
from sim.methods.algorithms.term import TERM
from tests.verify.wrong import wrong


def trained(w, at):
    """The site's knowledge with the loss of its trained model in place of the downloaded one."""
    return replace(at, loss=lambda x: at.loss(w))


# --- AFL


@wrong("afl")
class IgnoresLambda(AFL):
    """The weights of aggregation stay as they were: litian96/fair_flearn with `sampling=2`."""

    def weights(self, base, state):
        return base


@wrong("afl")
class Softmax(AFL):
    """Exponentiated ascent in place of the projection: a weight never reaches 0."""

    def ascent(self, lam, loss):
        return (lam.log() + self.gamma * loss).softmax(0)


@wrong("afl")
class Rescaled(AFL):
    """lambda + gamma F divided by its sum: no projection."""

    def ascent(self, lam, loss):
        return (lam + self.gamma * loss) / (lam + self.gamma * loss).sum()


@wrong("afl")
class DescendsOnLambda(AFL):
    """The best site counts most."""

    def ascent(self, lam, loss):
        return super().ascent(lam, -loss)


@wrong("afl")
class LossAfterTraining(AFL):
    """F of the models that sites trained."""

    def upload(self, w, at):
        return super().upload(w, trained(w, at))


@wrong("afl")
class StartCounts(AFL):
    """The first model is part of the mean."""

    def server(self, heard, state):
        step, new = super().server(heard, state)
        count = state["count"] + 1
        return step, {**new, "mean": state["mean"] + (heard.x - state["mean"]) / count}

    def deployed(self, x, state):
        return state["mean"] + (x - state["mean"]) / (state["count"] + 1) if self.average else x


# --- TERM


@wrong("term")
class SitesAlike(TERM):
    """exp(t F) without p."""

    def weigh(self, heard, state):
        return (self.t * heard.each["loss"].double()).softmax(0) if self.t else heard.p


@wrong("term")
class Overflows(TERM):
    """exp(t F) as it stands."""

    def weigh(self, heard, state):
        tilted = heard.p * (self.t * heard.each["loss"].double()).exp()
        return tilted / tilted.sum() if self.t else heard.p


@wrong("term")
class TiltAfterTraining(TERM):
    """F of the models that sites trained."""

    def upload(self, w, at):
        return super().upload(w, trained(w, at))


@wrong("term")
class Affine(TERM):
    """1 + t F for exp(t F)."""

    def weigh(self, heard, state):
        tilted = heard.p * (1 + self.t * heard.each["loss"].double())
        return tilted / tilted.sum() if self.t else heard.p


# --- FedMGDA+


@wrong("fedmgda")
class NotNormalised(FedMGDA):
    """Updates of their own lengths: MGDA."""

    def weigh(self, heard, state):
        length = heard.each["delta"].double().norm(dim=1)
        return super().weigh(heard, state) * length


@wrong("fedmgda")
class IgnoresEpsilon(FedMGDA):
    """The whole simplex whatever epsilon."""

    def weigh(self, heard, state):
        return FedMGDA(epsilon=1.0).weigh(heard, state)


@wrong("fedmgda")
class AroundEqual(FedMGDA):
    """Weights near 1 / M although patients were asked for."""

    def weigh(self, heard, state):
        return super().weigh(replace(heard, p=torch.full_like(heard.p, 1 / len(heard.p))), state)


@wrong("fedmgda")
class FewSteps(FedMGDA):
    """Five steps of Frank and Wolfe for the quadratic program."""

    def weigh(self, heard, state):
        delta = heard.each["delta"].double()
        length = delta.norm(dim=1)
        u = delta / length[:, None]
        lam = heard.p.clone()
        for number in range(5):
            vertex = torch.zeros_like(lam)
            vertex[(u @ (lam @ u)).argmin()] = 1.0
            lam = lam + 2 / (number + 2) * (vertex - lam)
        return lam / length


# --- FedDG-GA


@wrong("feddgga")
class NotCentred(FedDGGA):
    """The gap itself and not its difference from the mean: MediaBrain-SJTU/FedDG-GA."""

    def weigh(self, heard, state):
        gap = heard.each["gap"].double()
        if float(state["count"]) < 1:
            return heard.p
        a = (heard.p + self.d * (1 - float(state["count"]) / self.horizon) * gap / gap.abs().max()).clamp(0, 1)
        return a / a.sum()


@wrong("feddgga")
class ThirdOfTheStep(FedDGGA):
    """d / 3 whatever the number of sites: MediaBrain-SJTU/FedDG-GA."""

    def weigh(self, heard, state):
        return FedDGGA(self.d / 3, self.horizon).weigh(heard, state)


@wrong("feddgga")
class NoDecay(FedDGGA):
    """d in every round."""

    def weigh(self, heard, state):
        return FedDGGA(self.d, 10**9).weigh(heard, state)


@wrong("feddgga")
class OwnRound(FedDGGA):
    """The gap between the downloaded model and the one that is trained from it: progress, not generalisation."""

    def upload(self, w, at):
        return {"delta": w - at.x, "gap": at.loss(at.x) - at.loss(w)}, {"trained": at.loss(w)}


@wrong("feddgga")
class LowersWeights(FedDGGA):
    """The sign of accuracy for the loss."""

    def weigh(self, heard, state):
        return super().weigh(replace(heard, each={**heard.each, "gap": -heard.each["gap"]}), state)


# --- loss parity


@wrong("lossparity")
class NotCut(LossParity):
    """Weights below 0: the losses of good sites are raised."""

    def weigh(self, heard, state):
        loss = heard.each["loss"].double()
        return heard.p * (1 + 2 * self.lam * (loss - heard.p @ loss)) if self.lam else heard.p


@wrong("lossparity")
class WithoutTwo(LossParity):
    """The derivative of a square without its 2."""

    def weigh(self, heard, state):
        return LossParity(self.lam / 2).weigh(heard, state)


@wrong("lossparity")
class PlainMean(LossParity):
    """The mean of the losses taken over sites, whatever their weights."""

    def weigh(self, heard, state):
        loss = heard.each["loss"].double()
        a = (heard.p * (1 + 2 * self.lam * (loss - loss.mean()))).clamp_min(0)
        return a / a.sum() if self.lam else heard.p
