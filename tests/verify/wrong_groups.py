"""Wrong implementations of the algorithms that know of patient groups."""

import torch

from sim.methods.algorithms.fairfed import FairFed, difference
from sim.methods.algorithms.fedfb import FedFB
from sim.methods.algorithms.simplex import keep
from tests.verify.wrong import wrong


def counts(heard):
    """The scalars of the uploads, [M] each."""
    return {name: part.double() for name, part in heard.each.items() if part.dim() == 1}


# --- FairFed


@wrong("fairfed")
class Exponential(FairFed):
    """n_k exp(-beta |F_k - F|): yzeng58/Improving-Fairness-via-Federated-Learning, an earlier version of the paper."""

    def weigh(self, heard, state):
        count = counts(heard)
        gap = difference(count) - difference({name: part.sum() for name, part in count.items()})
        omega = count["rows"] * (-self.beta * gap.nan_to_num(0.0).abs()).exp()
        return omega / omega.sum()


@wrong("fairfed")
class MeanOfSites(FairFed):
    """F as the mean of the F_k, not of all patients together."""

    def centred(self, heard):
        count = counts(heard)
        own = difference(count)
        right = count["right"] / count["rows"]
        lag = right - count["right"].sum() / count["rows"].sum()
        distance = torch.where(own.isnan(), lag, own - own.nanmean()).abs()
        return distance - distance.mean()


@wrong("fairfed")
class NoFallback(FairFed):
    """A site with one group counts as one like all others."""

    def centred(self, heard):
        count = counts(heard)
        gap = difference(count) - difference({name: part.sum() for name, part in count.items()})
        distance = gap.nan_to_num(0.0).abs()
        return distance - distance.mean()


@wrong("fairfed")
class NotCut(FairFed):
    """Weights below 0: the site's update is subtracted."""

    def weigh(self, heard, state):
        omega = heard.p - self.beta * self.centred(heard)
        return omega / omega.sum()


@wrong("fairfed")
class Forgets(FairFed):
    """Every round begins at the weights of the experiment."""

    def weights(self, base, state):
        return base


@wrong("fairfed")
class NextRound(FairFed):
    """The new weights are used in the next round and not in this one."""

    def weigh(self, heard, state):
        return heard.p

    def server(self, heard, state):
        return heard.mean["delta"], keep(super().weigh(heard, state), heard, state)


@wrong("fairfed")
class NotCentred(FairFed):
    """Delta_k without its mean: more weight leaves than comes back."""

    def weigh(self, heard, state):
        count = counts(heard)
        gap = difference(count) - difference({name: part.sum() for name, part in count.items()})
        lag = count["right"] / count["rows"] - count["right"].sum() / count["rows"].sum()
        omega = (heard.p - self.beta * torch.where(gap.isnan(), lag, gap).abs()).clamp_min(1e-6)
        return omega / omega.sum() if self.beta else heard.p


# --- FedFB


@wrong("fedfb")
class SumsOfLosses(FedFB):
    """The group with more patients loses more: declearn compares sums, by the letters of the paper."""

    def disparity(self, total):
        return total["loss1"] - total["loss0"]


@wrong("fedfb")
class RaisesTheBetter(FedFB):
    """The sign the other way round."""

    def disparity(self, total):
        return -super().disparity(total)


@wrong("fedfb")
class NoDecay(FedFB):
    """alpha in every round."""

    def server(self, heard, state):
        step, new = super().server(heard, {**state, "count": torch.zeros_like(state["count"])})
        return step, {**new, "count": state["count"] + 1}


@wrong("fedfb")
class OneLambda(FedFB):
    """The second lambda is written from the first: the else branch of the authors' DP_server.py."""

    def server(self, heard, state):
        step, new = super().server(heard, state)
        return step, {**new, "raise1": -new["raise0"]}


@wrong("fedfb")
class EveryOutcome(FedFB):
    """Rows without the event are weighted too: parity of losses and not of opportunity."""

    def row_weight(self, batch, at):
        return super().row_weight(batch._replace(y={**batch.y, "label": torch.ones_like(batch.y["label"])}), at)


@wrong("fedfb")
class Weightless(FedFB):
    """lambda is computed and sites minimise the plain loss."""

    def row_weight(self, batch, at):
        return torch.ones_like(batch.y["label"])
