"""Known wrong implementations of noise at the server and of secure sums."""

from dataclasses import replace

from sim.methods.uplink.clip import normal
from sim.methods.uplink.noise import Gaussian, TreeNoise
from sim.methods.uplink.secagg import SecAgg
from tests.verify.wrong import wrong

# --- gaussian


@wrong("gaussian")
class OnTheSum(Gaussian):
    """z C on a mean, as if it were a sum."""

    def decode(self, mean, at, draw):
        return mean + (super().decode(mean, at, draw) - mean) * len(at.heard.sites)


@wrong("gaussian")
class OfVariance(Gaussian):
    """z for a variance in place of a deviation."""

    def decode(self, mean, at, draw):
        return Gaussian.decode(replace(self, multiplier=self.multiplier**0.5), mean, at, draw)


@wrong("gaussian")
class AtTheSites(Gaussian):
    """Every site adds the noise of the server: too little of it by the square root of their number."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(vector=u + self.multiplier * 0.4 / 3 * normal(draw, "noise"))

    def decode(self, mean, at, draw):
        return mean


@wrong("gaussian")
class OneDraw(Gaussian):
    """The same noise in every round."""

    def decode(self, mean, at, draw):
        return super().decode(mean, at, lambda name, round=None: draw(name, 1))


# --- tree


@wrong("treenoise")
class FreshNoise(TreeNoise):
    """Noise of its own in every round: `gaussian`, with an epsilon that is not its."""

    def decode(self, mean, at, draw):
        return Gaussian.decode(self, mean, at, draw)


@wrong("treenoise")
class NeverTakenOff(TreeNoise):
    """The noise of smaller nodes stays when a larger one takes their place."""

    def decode(self, mean, at, draw):
        now = int(at.state["updates"]) + 1
        return mean + self.multiplier * at.reach / len(at.heard.sites) * normal(draw, "node", now)


@wrong("treenoise")
class NeverRestarts(TreeNoise):
    """One tree whatever is asked."""

    def decode(self, mean, at, draw):
        return TreeNoise.decode(replace(self, restart=0), mean, at, draw)


# --- secure sums


@wrong("secagg")
class NotCutOff(SecAgg):
    """Values beyond the bits run into their neighbours' room."""

    def encode(self, u, at, draw):
        done = super().encode(u, at, draw)
        return done._replace(vector=(u * 2.0**self.fraction).round() * 2.0**-self.fraction)


@wrong("secagg")
class Floats(SecAgg):
    """Masks on floating-point numbers, which cancel to rounding only."""

    def encode(self, u, at, draw):
        super().encode(u, at, draw)
        most = 2.0 ** (self.bits - 1 - self.fraction)
        return super().encode(u, at, draw)._replace(vector=u.clamp(-most, most))


@wrong("secagg")
class NoKeys(SecAgg):
    """Keys and shares are not counted."""

    def protocol(self, asked):
        return 0, 0


@wrong("secagg")
class AnySites(SecAgg):
    """No threshold: whoever answers is added up."""

    def least(self, asked):
        return 1


@wrong("secagg")
class Overflows(SecAgg):
    """The ring is taken for as large as one value."""

    def holds(self, weight):
        return True
