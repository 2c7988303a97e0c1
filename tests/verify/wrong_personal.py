"""Known wrong implementations of algorithms that are judged by the sites' own models."""

import torch

from sim.methods.algorithms.apfl import APFL
from sim.methods.algorithms.perfedavg import PerFedAvg, PerFedAvgHF
from sim.methods.algorithms.pfedme import PFedMe
from sim.methods.contract import OWN
from tests.verify.wrong import wrong

# --- pFedMe


@wrong("pfedme")
class SendsTheta(PFedMe):
    """The personal model is averaged in place of w_i."""

    def upload(self, w, at):
        _, theta = w.chunk(2, dim=1)
        return {"delta": theta - at.x}, {OWN: theta.clone()}


@wrong("pfedme")
class DeploysShared(PFedMe):
    """w_i is reported under the name of theta."""

    def upload(self, w, at):
        message, _ = super().upload(w, at)
        return message, {OWN: w.chunk(2, dim=1)[0].clone()}


@wrong("pfedme")
class ForgetsLam(PFedMe):
    """w_i <- w_i - lr (w_i - theta)."""

    def direction(self, grad, w, at, c):
        way, theta = super().direction(grad, w, at, c).chunk(2, dim=1)
        return torch.cat([way / self.lam, theta], dim=1)


@wrong("pfedme")
class PullsToDownloaded(PFedMe):
    """theta is pulled to the model that was downloaded, not to w_i."""

    def direction(self, grad, w, at, c):
        w, before = w.chunk(2, dim=1)
        theta = before
        for _ in range(self.inner):
            theta = theta - self.rate * (grad(theta) + self.lam * (theta - at.x))
        return torch.cat([self.lam * (w - theta), (before - theta) / at.lr], dim=1)


# --- APFL


@wrong("apfl")
class NoFactor(APFL):
    """The gradient with respect to v lacks the factor alpha."""

    def direction(self, grad, w, at, c):
        alpha, d = self.parts(w)[2], super().direction(grad, w, at, c)
        size = d.shape[1] // 2
        return torch.cat([d[:, :size], d[:, size:-1] / alpha.clamp_min(1e-9), d[:, -1:]], dim=1)


@wrong("apfl")
class NoClip(APFL):
    """alpha leaves [0, 1]."""

    def direction(self, grad, w, at, c):
        w, v, alpha = self.parts(w)
        g = grad(alpha * v + (1 - alpha) * w)
        return torch.cat([grad(w), alpha * g, (g * (v - w)).sum(1, keepdim=True)], dim=1)


@wrong("apfl")
class ShrinksAlpha(APFL):
    """0.02 alpha is added to the gradient of alpha: FedTorch."""

    def direction(self, grad, w, at, c):
        alpha, d = self.parts(w)[2], super().direction(grad, w, at, c)
        return torch.cat([d[:, :-1], d[:, -1:] + 0.02 * alpha], dim=1)


@wrong("apfl")
class TrainsVAlone(APFL):
    """v descends on F(v), not on the loss of the mixture."""

    def direction(self, grad, w, at, c):
        d = super().direction(grad, w, at, c)
        size = d.shape[1] // 2
        return torch.cat([d[:, :size], grad(self.parts(w)[1].contiguous()), d[:, -1:]], dim=1)


@wrong("apfl")
class DeploysV(APFL):
    """Sites deploy v, not the mixture."""

    def upload(self, w, at):
        message, state = super().upload(w, at)
        return message, state | {OWN: state[OWN] + state["way"], "way": torch.zeros_like(state["way"])}


# --- Per-FedAvg


@wrong("perfedavg")
class NoAdaptation(PerFedAvg):
    """FedAvg, fine-tuned by a step."""

    def direction(self, grad, w, at, c):
        return grad(w)


@wrong("perfedavg")
class TwoSteps(PerFedAvg):
    """Both gradients are descended: one step of rate alpha + lr, as Reptile."""

    def direction(self, grad, w, at, c):
        g = grad(w)
        return self.alpha / at.lr * g + super().direction(grad, w, at, c)


@wrong("perfedavg")
class AdaptsHalfWay(PerFedAvg):
    """The start is adapted at another rate than it was trained for."""

    @property
    def adaptation_rate(self):
        return self.alpha / 2


@wrong("perfedavghf")
class FirstOrder(PerFedAvgHF):
    """Second derivatives are left out under the name of HF."""

    def direction(self, grad, w, at, c):
        return PerFedAvg.direction(self, grad, w, at, c)


@wrong("perfedavghf")
class OneSided(PerFedAvgHF):
    """The difference is divided by delta although its ends are 2 delta apart."""

    def direction(self, grad, w, at, c):
        g = grad(w - self.alpha * grad(w), batch=1)
        turn = grad(w + self.delta * g, batch=2) - grad(w - self.delta * g, batch=2)
        return g - self.alpha * turn / self.delta
