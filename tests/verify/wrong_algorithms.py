"""Known wrong implementations of algorithms, continued from `test_mutations`."""

from dataclasses import replace

import numpy as np
import torch

from sim.methods.algorithms.adaptiveprox import AdaptiveProx
from sim.methods.algorithms.feddc import FedDC
from sim.methods.algorithms.fedlc import FedLC
from sim.methods.algorithms.fedsgd import FedSGD
from sim.methods.algorithms.mime import Mime
from sim.methods.algorithms.mimelite import MimeLite
from sim.methods.algorithms.moon import Moon
from sim.methods.algorithms.scaffnew import Scaffnew
from sim.methods.algorithms.scaffold import Scaffold
from sim.methods.contract import Correction
from tests.verify.wrong import wrong

# --- SCAFFOLD, option I


@wrong("scaffold")
class NegativeGradient(Scaffold):
    """Option I stores -grad F_i(x), while the step adds c - c_i: pfl-research."""

    def upload(self, w, at):
        return super().upload(w, replace(at, gradient=lambda x: -at.gradient(x)))


@wrong("scaffold")
class GradientAfterwards(Scaffold):
    """Option I with the gradient of the trained model, not of the downloaded one."""

    def upload(self, w, at):
        return super().upload(w, replace(at, gradient=lambda x: at.gradient(w)))


@wrong("scaffold")
class AlwaysTheSecond(Scaffold):
    """Option II whatever was asked for."""

    def upload(self, w, at):
        return Scaffold().upload(w, at)


# --- FedSGD


@wrong("fedsgd")
class OneMiniBatch(FedSGD):
    """One step on one mini-batch, not on all rows."""

    local = {"epochs": 1, "steps": 1}


@wrong("fedsgd")
class OneEpoch(FedSGD):
    """One epoch of mini-batches: FedAvg with E = 1 under another name."""

    local = {"epochs": 1, "steps": 0}


@wrong("fedsgd")
class SitesAlike(FedSGD):
    """The plain mean of the sites' gradients, which is not the pooled gradient where rows are unequal."""

    def weights(self, base, state):
        return torch.ones_like(base)


# --- Scaffnew


@wrong("scaffnew")
class OwnCoins(Scaffnew):
    """Every site tosses a coin of its own."""

    def steps(self, planned, seed, round):
        return np.random.Generator(np.random.Philox(key=[seed, round])).geometric(self.p, len(planned))


@wrong("scaffnew")
class FixedLength(Scaffnew):
    """1 / p steps in every round, as local steps are elsewhere."""

    def steps(self, planned, seed, round):
        return np.full_like(planned, np.ceil(1 / self.p))


@wrong("scaffnew")
class NoChance(Scaffnew):
    """h_i moves by (x - y_i) / lr, without p: its sum is still zero."""

    def upload(self, w, at):
        message, kept = super().upload(w, at)
        return message, {**kept, "scale": kept["scale"] / self.p}


@wrong("scaffnew")
class PlusVariate(Scaffnew):
    """The gradient plus h_i."""

    def correction(self, at):
        correction = super().correction(at)
        return correction._replace(drift=-correction.drift)


@wrong("scaffnew")
class OldMean(Scaffnew):
    """h_i moves by the model that the site downloaded before the round, not by the mean after it."""

    def variate(self, at):
        return at.site["variate"]

    def upload(self, w, at):
        message, kept = super().upload(w, at)
        return message, {**kept, "variate": kept["variate"] + self.p / at.lr * (at.x - w)}


@wrong("scaffnew")
class NeverKept(Scaffnew):
    """h_i stays 0: FedAvg with random steps."""

    def variate(self, at):
        return torch.zeros_like(at.x)


# --- FedLC


@wrong("fedlc")
class CountsOfAll(FedLC):
    """The classes of all sites together, in place of the site's own: PFLlib."""

    def objective(self, task, v, batch, at):
        return super().objective(task, v, batch, replace(at, counts=torch.full_like(at.counts, 8.0)))


@wrong("fedlc")
class PlusMargin(FedLC):
    """The margin is added: rare classes are unlearned the faster."""

    def margins(self, counts, outputs):
        return -super().margins(counts, outputs)


@wrong("fedlc")
class SquareRoot(FedLC):
    """n^(-1/2), the power of LDAM's square."""

    def margins(self, counts, outputs):
        return super().margins(counts**2, outputs)


@wrong("fedlc")
class AbsentAsOne(FedLC):
    """An absent class has the margin of a class of one row, and is unlearned."""

    def margins(self, counts, outputs):
        return super().margins(counts.clamp_min(1), outputs)


# --- MimeLite


@wrong("mimelite")
class SumMomentum(MimeLite):
    """torch's momentum: m <- beta m + gradient, without the factor 1 - beta."""

    def direction(self, grad, w, at, c):
        return grad(w) + self.beta * at.server["momentum"]

    def server(self, heard, state):
        return heard.mean["delta"], {"momentum": heard.mean["gradient"] + self.beta * state["momentum"]}


@wrong("mimelite")
class GradientOfTheEnd(MimeLite):
    """The statistic is the gradient of the trained model."""

    def upload(self, w, at):
        return super().upload(w, replace(at, gradient=lambda x: at.gradient(w)))


@wrong("mimelite")
class MeanOfSteps(MimeLite):
    """The statistic is the mean step along the way, which costs no pass over the rows."""

    def upload(self, w, at):
        return super().upload(w, replace(at, gradient=lambda x: (at.x - w) / (at.lr * at.steps[:, None])))


@wrong("mimelite")
class MomentumStays(MimeLite):
    """The server's momentum is never moved: FedAvg with a smaller rate."""

    def server(self, heard, state):
        return heard.mean["delta"], state


# --- Mime


@wrong("mime")
class LiteForMime(Mime):
    """No variance term."""

    def direction(self, grad, w, at, c):
        return (1 - self.beta) * grad(w) + self.beta * at.server["momentum"]


@wrong("mime")
class OtherBatch(Mime):
    """g_k(x) on another batch than g_k(y), so that the noise stays."""

    batches = 2

    def direction(self, grad, w, at, c):
        return super().direction(lambda v: grad(v, batch=int(v is at.x)), w, at, c)


@wrong("mime")
class MomentumFirst(Mime):
    """The momentum takes up c before the sites train."""

    def direction(self, grad, w, at, c):
        momentum = (1 - self.beta) * at.server["gradient"] + self.beta * at.server["momentum"]
        return super().direction(grad, w, replace(at, server={**at.server, "momentum": momentum}), c)


@wrong("mime")
class OwnGradient(Mime):
    """c is the site's own gradient, not the mean: nothing is exchanged before the round."""

    site_state = {"own": "P"}

    def direction(self, grad, w, at, c):
        return super().direction(grad, w, replace(at, server={**at.server, "gradient": grad(at.x)}), c)

    def upload(self, w, at):
        return super().upload(w, at)[0], {"own": at.gradient(at.x)}


# --- FedDC


@wrong("feddc")
class WithoutUpdates(FedDC):
    """No correction by the last updates, so that only a penalty much like FedDyn's is left."""

    def correction(self, at):
        return Correction(pull=self.alpha, drift=self.alpha * at.site["drift"])


@wrong("feddc")
class FlippedDrift(FedDC):
    """alpha/2 |y - h_i - x|^2."""

    def correction(self, at):
        return super().correction(replace(at, site={**at.site, "drift": -at.site["drift"]}))


@wrong("feddc")
class DriftBefore(FedDC):
    """The mean takes h_i as it was before the round."""

    def server(self, heard, state):
        step, new = super().server(heard, state)
        return step - new["drift"] + state["drift"], new


@wrong("feddc")
class SumOfUpdates(FedDC):
    """D_i - D over lr alone, without K."""

    def correction(self, at):
        return super().correction(replace(at, norm=torch.ones_like(at.norm)))


@wrong("feddc")
class ParticipantsDrift(FedDC):
    """The drifts' mean moves by the participants' mean update, without m/N."""

    def server(self, heard, state):
        return super().server(replace(heard, share=1.0), state)


# --- FedProx with a mu of its own


@wrong("adaptiveprox")
class OneFallWillDo(AdaptiveProx):
    """mu goes down at every fall: pfl-research's default."""

    def server(self, heard, state):
        return AdaptiveProx(self.mu, self.step, 1).server(heard, state)


@wrong("adaptiveprox")
class FirstIsAFall(AdaptiveProx):
    """The first loss counts as a fall from infinity: pfl-research."""

    def server(self, heard, state):
        if state["rounds"] == 0:
            state = {**state, "loss": heard.mean["loss"] + 1, "rounds": state["rounds"] + 1}
        return super().server(heard, state)


@wrong("adaptiveprox")
class BelowZero(AdaptiveProx):
    """mu falls below 0."""

    def server(self, heard, state):
        step, new = super().server(heard, state)
        up = new["loss"] > state["loss"] if state["rounds"] else False
        return step, {**new, "change": state["change"] + self.step * (float(up) - float(new["falls"] >= self.falls))}


@wrong("adaptiveprox")
class LossOfTheEnd(AdaptiveProx):
    """The loss of the trained model."""

    def upload(self, w, at):
        return super().upload(w, replace(at, loss=lambda x: at.loss(w)))


@wrong("adaptiveprox")
class Standing(AdaptiveProx):
    """mu stays: FedProx."""

    def server(self, heard, state):
        step, new = super().server(heard, state)
        return step, {**new, "change": state["change"]}


# --- MOON


@wrong("moon")
class Downloaded(Moon):
    """The previous model is the one that the site downloaded last time, not the one it trained."""

    def upload(self, w, at):
        message, kept = super().upload(w, at)
        return message, {**kept, "previous": at.x.clone()}


@wrong("moon")
class PreviousOfZero(Moon):
    """The first round is contrasted with a network of zeros."""

    def objective(self, task, v, batch, at):
        state = {**at.site, "trained": torch.ones_like(at.site["trained"])}
        return super().objective(task, v, batch, replace(at, site=state))


@wrong("moon")
class Repelled(Moon):
    """Drawn to its own last model and away from the global one."""

    def objective(self, task, v, batch, at):
        previous = torch.where(at.site["trained"] > 0, at.site["previous"], at.x)
        return super().objective(task, v, batch, replace(at, x=previous, site={**at.site, "previous": at.x}))


@wrong("moon")
class NoTemperature(Moon):
    """T is left out."""

    def objective(self, task, v, batch, at):
        return Moon(self.mu, 1.0).objective(task, v, batch, at) if self.mu else task.loss(v, batch)


@wrong("moon")
class BothMove(Moon):
    """The global network is not held still, so that its gradient is added."""

    def objective(self, task, v, batch, at):
        return super().objective(task, v, batch, replace(at, x=at.x + 0.5 * (v - at.x)))
