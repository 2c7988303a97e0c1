"""Known wrong implementations of the transforms that compress."""

import math

import torch

from sim.methods.uplink.base import Encoded
from sim.methods.uplink.coded import QSGD, STC, Sign
from sim.methods.uplink.topk import RandomK, only, share
from tests.verify.wrong import wrong

# --- random places


@wrong("randomk")
class NotScaled(RandomK):
    """Without feedback and without P / k: the mean is k / P of what it should be."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done if self.feedback else done._replace(vector=done.vector * self.ratio)


@wrong("randomk")
class ScaledFeedback(RandomK):
    """P / k together with feedback: what is sent too much comes back with the other sign, and grows."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        if not self.feedback:
            return done
        sent = done.vector / self.ratio
        return Encoded(sent, {"error": u + at.site["error"] - sent})


@wrong("randomk")
class AlwaysFirst(RandomK):
    """The same places in every round."""

    def encode(self, u, at, draw):
        place = torch.arange(share(self.ratio, u.shape[1])).expand(len(u), -1)
        whole = u + at.site["error"] if self.feedback else u / self.ratio
        return Encoded(only(whole, place), {"error": whole - only(whole, place)})


@wrong("randomk")
class SendsPlaces(RandomK):
    """Bytes of places that nobody needs."""

    def wire(self, size):
        return super().wire(size)._replace(index_bits=8)


# --- QSGD


@wrong("qsgd")
class Nearest(QSGD):
    """Rounds to the nearest level, which is biased."""

    def encode(self, u, at, draw):
        return super().encode(u, at, lambda name: torch.full_like(u, 0.5))


@wrong("qsgd")
class ByLargest(QSGD):
    """The largest entry in place of the norm: another code, QSGDinf."""

    def encode(self, u, at, draw):
        largest = u.abs().amax(1, keepdim=True)
        level = self.levels * u.abs() / largest
        sent = largest * u.sign() * (level.floor() + (draw("up") < level - level.floor())) / self.levels
        return Encoded(sent, {}, {"norm": largest[:, 0]})


@wrong("qsgd")
class RoundsDown(QSGD):
    """Always down: vectors shrink."""

    def encode(self, u, at, draw):
        return super().encode(u, at, lambda name: torch.ones_like(u))


@wrong("qsgd")
class ForgetsSign(QSGD):
    """Levels without signs are counted."""

    def wire(self, size):
        return super().wire(size)._replace(bits=math.ceil(math.log2(self.levels + 1)))


# --- signs


@wrong("sign")
class NoScale(Sign):
    """Signs of size one: the plain signSGD that need not converge."""

    def encode(self, u, at, draw):
        whole = u + at.site["error"] if self.feedback else u
        sent = torch.where(whole >= 0, 1.0, -1.0).to(u.dtype)
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(u)})


@wrong("sign")
class ThirdValue(Sign):
    """torch.sign: zero is sent as zero, which a bit cannot say."""

    def encode(self, u, at, draw):
        whole = u + at.site["error"] if self.feedback else u
        sent = whole.sign() * whole.abs().mean(1, keepdim=True)
        return Encoded(sent, {"error": whole - sent if self.feedback else torch.zeros_like(u)})


@wrong("sign")
class OldError(Sign):
    """The error is what was left of this round's change alone."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(state={"error": u - done.vector if self.feedback else torch.zeros_like(u)})


# --- sparse ternary compression


@wrong("stc")
class OwnSizes(STC):
    """The entries keep their own sizes: top-k under another name."""

    def ternary(self, whole):
        return only(whole, whole.abs().topk(share(self.ratio, whole.shape[1]), dim=1).indices)


@wrong("stc")
class MeanOfAll(STC):
    """The common size is the mean over all entries, not over those that are sent."""

    def ternary(self, whole):
        sent = super().ternary(whole)
        return sent.sign() * whole.abs().mean(1, keepdim=True)


@wrong("stc")
class DenseDown(STC):
    """The downlink is counted as sparse and stays dense."""

    def down(self, step, state, draw):
        return step, state


@wrong("stc")
class ForgetsDown(STC):
    """What the server does not send is lost."""

    def down(self, step, state, draw):
        sent, _ = super().down(step, state, draw)
        return sent, {"down": torch.zeros_like(step)}
