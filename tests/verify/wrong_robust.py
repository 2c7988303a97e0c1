"""Known wrong implementations of robust aggregators, attacks and FedExP."""

import numpy as np
import torch

from sim.methods.aggregators import (
    Bulyan,
    CentredClip,
    GeometricMedian,
    Median,
    MultiKrum,
    NormBound,
    TrimmedMean,
)
from sim.methods.aggregators.base import Combined
from sim.methods.attacks import ALIE, IPM, LabelFlip, LazySite, MinMax, Scaling
from sim.methods.attacks import collusion as theirs
from sim.methods.attacks.base import honest, replaced
from sim.methods.servers import FedExP
from tests.verify.wrong import wrong

# --- trimmed mean


@wrong("trimmedmean")
class Truncates(TrimmedMean):
    """int(beta M): nothing is trimmed of nine uploads with beta 0.1: Flower."""

    def trimmed(self, uploads):
        return int(self.beta * uploads)


@wrong("trimmedmean")
class CeilOfFloat(TrimmedMean):
    """ceil(0.28 * 25) in floating point is 8."""

    def trimmed(self, uploads):
        return int(np.ceil(self.beta * uploads))


@wrong("trimmedmean")
class OneSide(TrimmedMean):
    """The largest values alone are left out."""

    def combine(self, sent, p):
        kept = len(p) - self.trimmed(len(p))
        return {name: part.sort(dim=0).values[:kept].mean(0) for name, part in sent.items()}


@wrong("trimmedmean")
class ByLength(TrimmedMean):
    """Whole uploads are trimmed by their norms, not values by coordinate."""

    def combine(self, sent, p):
        norms = torch.cat([part.reshape(len(p), -1) for part in sent.values()], dim=1).norm(dim=1)
        cut = self.trimmed(len(p))
        kept = norms.argsort()[cut : len(p) - cut]
        return {name: part[kept].mean(0) for name, part in sent.items()}


# --- Multi-Krum, Bulyan


@wrong("multikrum")
class Highest(MultiKrum):
    """The uploads with the largest scores."""

    def chosen(self, sent):
        order = self.ranked(sent)[::-1]
        return torch.from_numpy(np.sort(order[: self.q or len(order) - self.f]))


@wrong("multikrum")
class OneLess(MultiKrum):
    """q - 1 uploads are averaged."""

    def chosen(self, sent):
        order = self.ranked(sent)
        return torch.from_numpy(np.sort(order[: max((self.q or len(order) - self.f) - 1, 1)]))


@wrong("multikrum")
class ForgetsWhom(MultiKrum):
    """Says that every upload was used."""

    def aggregate(self, sent, p, state, draw):
        return Combined(self.combine(sent, p), torch.ones(len(p)))


@wrong("bulyan")
class RanksOnce(Bulyan):
    """The first stage takes the theta best of one ranking: Multi-Krum."""

    f: int = 0

    def chosen(self, sent):
        rows = len(next(iter(sent.values())))
        return MultiKrum(f=self.f, q=rows - 2 * self.f).chosen(sent)


@wrong("bulyan")
class TrimsInstead(Bulyan):
    """The second stage trims f values at either end, whichever are closer to the median."""

    f: int = 0

    def blend(self, sent, chosen):
        kept = slice(self.f, len(chosen) - self.f)
        return {name: part[chosen].sort(dim=0).values[kept].mean(0) for name, part in sent.items()}


@wrong("bulyan")
class SkipsSelection(Bulyan):
    """The second stage alone."""

    f: int = 0

    def chosen(self, sent):
        return torch.arange(len(next(iter(sent.values()))))


# --- geometric median


@wrong("geometricmedian")
class SquaredDistances(GeometricMedian):
    """Weights p / |v - u|^2."""

    def combine(self, sent, p):
        u, beta = sent["delta"].double(), p.double()
        for _ in range(self.R):
            beta = p / (u - beta @ u).square().sum(1).clamp(min=self.nu)
            beta = beta / beta.sum()
        return {name: (beta @ part.double()).to(part.dtype) for name, part in sent.items()}


@wrong("geometricmedian")
class ForgetsWeights(GeometricMedian):
    """All sites have the same weight."""

    def combine(self, sent, p):
        return super().combine(sent, torch.full_like(p, 1 / len(p)))


@wrong("geometricmedian")
class AddsNu(GeometricMedian):
    """nu is added to the distance, in place of the larger of both."""

    def combine(self, sent, p):
        u, beta = sent["delta"].double(), p.double()
        for _ in range(self.R):
            beta = p / ((u - beta @ u).norm(dim=1) + self.nu)
            beta = beta / beta.sum()
        return {name: (beta @ part.double()).to(part.dtype) for name, part in sent.items()}


@wrong("geometricmedian")
class CoordinateWise(GeometricMedian):
    """The median of each coordinate."""

    def combine(self, sent, p):
        return Median().combine(sent, p)


# --- centred clipping, norm bound


@wrong("centredclip")
class NoHistory(CentredClip):
    """Clips round zero in every round."""

    def aggregate(self, sent, p, state, draw):
        return super().aggregate(sent, p, {name: 0 * part for name, part in state.items()}, draw)


@wrong("centredclip")
class ClipsAfterBuckets(CentredClip):
    """Uploads are clipped first and put into buckets afterwards, where a bucket changes nothing."""

    def aggregate(self, sent, p, state, draw):
        return CentredClip(tau=self.tau, iterations=self.iterations).aggregate(sent, p, state, draw)


@wrong("centredclip")
class SameBuckets(CentredClip):
    """The same buckets in every round: two sites always share their fate."""

    def aggregate(self, sent, p, state, draw):
        def always(name):
            return torch.arange(float(len(p)))[:, None]

        return super().aggregate(sent, p, state, always)


@wrong("centredclip")
class ClipsCoordinates(CentredClip):
    """Every coordinate is cut off at tau, not the length."""

    def aggregate(self, sent, p, state, draw):
        v = state["delta.centre"].double()
        for _ in range(self.iterations):
            v = v + (sent["delta"].double() - v).clamp(-self.tau, self.tau).mean(0)
        kept = v.to(sent["delta"].dtype)
        return Combined({"delta": kept}, None, {"delta.centre": kept})


@wrong("normbound")
class Lengthens(NormBound):
    """Every upload gets the length of the bound, also shorter ones."""

    def aggregate(self, sent, p, state, draw):
        u = sent["delta"].double()
        norm = u.norm(dim=1)
        bound = self.bound or float(norm.quantile(0.5))
        return Combined({"delta": (p @ (u * (bound / norm)[:, None])).to(sent["delta"].dtype)})


@wrong("normbound")
class BoundSquared(NormBound):
    """min(1, M / |u|^2)."""

    def aggregate(self, sent, p, state, draw):
        u = sent["delta"].double()
        bound = self.bound or float(u.norm(dim=1).quantile(0.5))
        scale = (bound / u.square().sum(1)).clamp(max=1.0)
        return Combined({"delta": (p @ (u * scale[:, None])).to(sent["delta"].dtype)}, scale)


@wrong("normbound")
class BoundByMean(NormBound):
    """The mean norm as bound, which one attacker raises as far as it likes."""

    def aggregate(self, sent, p, state, draw):
        bound = self.bound or float(sent["delta"].double().norm(dim=1).mean())
        return NormBound(bound=bound).aggregate(sent, p, state, draw)


# --- attacks


@wrong("labelflip")
class FlipsAll(LabelFlip):
    """Honest sites' rows are flipped as well."""

    def faulty(self, keys, seed):
        return np.full(len(keys), self.on)


@wrong("labelflip")
class FlipsTimes(LabelFlip):
    """The time of a survival becomes negative too."""

    def poison(self, y, classes):
        done = super().poison(y, classes)
        return {name: -column if name == "time_days" else column for name, column in done.items()}


@wrong("labelflip")
class NextClass(LabelFlip):
    """y + 1 modulo K, which is the opposite for two classes only."""

    def poison(self, y, classes):
        done = super().poison(y, classes)
        return {name: (y[name] + 1) % classes if name == "label" else column for name, column in done.items()}


@wrong("alie")
class SampleDeviation(ALIE):
    """sigma with H - 1 in the denominator."""

    def tamper(self, sent, bad):
        z = self.deviations(len(bad), int(bad.sum()))
        return replaced(sent, bad, lambda part: honest(part, bad).mean(0) - z * honest(part, bad).std(0))


@wrong("alie")
class CountsHonest(ALIE):
    """s = floor(n / 2) + 1: as if no attacker voted for itself."""

    def deviations(self, uploads, bad):
        supporters = uploads // 2 + 1
        share = (uploads - bad - supporters) / (uploads - bad)
        return self.z or theirs.NormalDist().inv_cdf(min(max(share, 1e-9), 1 - 1e-9))


@wrong("alie")
class WithAttackers(ALIE):
    """mu and sigma over all uploads, the attackers' too."""

    def tamper(self, sent, bad):
        z = self.deviations(len(bad), int(bad.sum()))
        return replaced(sent, bad, lambda part: part.mean(0) - z * part.std(0, correction=0))


@wrong("ipm")
class MeanOfAll(IPM):
    """The mean of all uploads, the attackers' too."""

    def tamper(self, sent, bad):
        return replaced(sent, bad, lambda part: -self.epsilon * part.mean(0))


@wrong("ipm")
class Positive(IPM):
    """The mean with its own sign: a small step in the right direction."""

    def tamper(self, sent, bad):
        return replaced(sent, bad, lambda part: self.epsilon * honest(part, bad).mean(0))


@wrong("minmax")
class FromMean(MinMax):
    """No farther from the mean than the honest are: the bound is on the wrong distance."""

    def tamper(self, sent, bad):
        def vector(part):
            others = honest(part, bad)
            mean, push = others.mean(0), self.pushes(others)
            return mean + (others - mean).norm(dim=1).max() / push.norm() * push

        return replaced(sent, bad, vector)


@wrong("minmax")
class Halved(MinMax):
    """gamma after three halvings: stopped far from the bound."""

    def tamper(self, sent, bad):
        exact = super().tamper(sent, bad)
        whole = {name: honest(part, bad).mean(0) for name, part in sent.items() if part.dim() == 2}
        short = {name: whole[name] + 0.875 * (exact[name] - whole[name]) for name in whole}
        return {
            name: torch.where(bad[:, None], short[name], sent[name]) if name in whole else exact[name] for name in sent
        }


@wrong("scaling")
class ScalesAll(Scaling):
    """Honest uploads are scaled as well."""

    def tamper(self, sent, bad):
        return super().tamper(sent, torch.ones_like(bad) if bool(bad.any()) else bad)


@wrong("scaling")
class NeverScales(Scaling):
    """Flips alone."""

    def tamper(self, sent, bad):
        return sent


@wrong("scaling")
class AlwaysFlips(Scaling):
    """The outcomes are flipped whether asked for or not."""

    def poison(self, y, classes):
        return LabelFlip().poison(y, classes)


@wrong("lazysite")
class RandomModel(LazySite):
    """Ones in place of zeros."""

    def tamper(self, sent, bad):
        return replaced(sent, bad, torch.ones_like)


@wrong("lazysite")
class HalfLazy(LazySite):
    """Half of the work."""

    def tamper(self, sent, bad):
        return replaced(sent, bad, lambda part: part / 2)


# --- FedExP


@wrong("fedexp")
class BelowOne(FedExP):
    """The rate may fall below one."""

    def scaled(self, step, heard):
        return heard["square"] / (2 * (step.square().sum() + self.epsilon)) * step


@wrong("fedexp")
class WithoutHalf(FedExP):
    """The rate without the 2: twice as far."""

    def scaled(self, step, heard):
        return (heard["square"] / (step.square().sum() + self.epsilon)).clamp(min=1.0) * step


@wrong("fedexp")
class LastIterate(FedExP):
    """The last model is judged, not the mean of two."""

    def judged(self, x, state):
        return x


@wrong("fedexp")
class NormOfMean(FedExP):
    """The norm in place of its square."""

    def report(self, delta):
        return {"square": delta.norm(dim=1)}
