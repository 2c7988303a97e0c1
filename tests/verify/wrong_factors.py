"""Known wrong implementations of factors of low rank."""

import torch

from sim.methods.uplink.base import Wire
from sim.methods.uplink.powersgd import PowerSGD
from tests.verify.wrong import wrong


@wrong("powersgd")
class ForgetsError(PowerSGD):
    """What is not sent is lost."""

    def encode(self, u, at, draw):
        made = super().encode(u, at, draw)
        return made._replace(state=made.state | {"error": torch.zeros_like(u)})


@wrong("powersgd")
class ErrorOfMean(PowerSGD):
    """The error is taken from the mean over sites, not from what the site itself sent."""

    def encode(self, u, at, draw):
        made = super().encode(u, at, draw)
        return made._replace(state=made.state | {"error": made.vector + made.state["error"] - made.vector.mean(0)})


@wrong("powersgd")
class ColdStart(PowerSGD):
    """Q is drawn anew in every round: the paper's ablation without warm start."""

    def encode(self, u, at, draw):
        made = super().encode(u, at, draw)
        return made._replace(state=made.state | {"right": torch.zeros_like(u)})


class Kept(PowerSGD):
    """Factors made otherwise, by `made`, from a matrix, the kept Q and a random one, and the right P."""

    def factors(self, whole, at, draw):
        random = draw("start") - 0.5
        for one, left, _ in super().factors(whole, at, draw):
            m = whole[:, one.place : one.place + one.rows * one.columns].reshape(-1, one.rows, one.columns)
            kept, fresh = (
                part[:, one.place : one.place + one.columns * self.rank].reshape(-1, one.columns, self.rank)
                for part in (at.site["right"], random)
            )
            yield one, *self.made(m, kept, fresh, left)


@wrong("powersgd")
class NotOrthogonal(Kept):
    """The columns of P are of length 1, but not orthogonal: the same direction is sent twice."""

    def made(self, m, kept, fresh, left):
        q = torch.where(kept.abs().sum(1, keepdim=True) > 0, kept, fresh)
        left = torch.nn.functional.normalize(m @ q, dim=1)
        return left, m.mT @ left


@wrong("powersgd")
class OldRight(Kept):
    """The Q of the round before is sent beside the new P."""

    def made(self, m, kept, fresh, left):
        return left, torch.where(kept.abs().sum(1, keepdim=True) > 0, kept, m.mT @ left)


@wrong("powersgd")
class CountsMatrices(PowerSGD):
    """Bytes of the whole matrices."""

    def wire(self, size: Wire) -> Wire:
        return size


@wrong("powersgd")
class SquaresTheVector(PowerSGD):
    """The whole vector as one matrix near a square, layers cut through: torch's batched hook."""

    def over(self, shapes):
        made = super().over(shapes)
        total = sum(m.rows * m.columns for m in made.matrices())
        made.shapes = ((4, total // 4),)
        return made
