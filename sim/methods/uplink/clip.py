"""Clip: a fixed or adaptive bound on the Euclidean norm of what a site sends."""

import math
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Draw, Local, Message, State
from sim.methods.shorten import row_lengths, shortening
from sim.methods.uplink.base import SPARSE, VALUES, Encoded, Transform
from sim.random import gaussian


@dataclass
class Clip(Transform):
    """Every site scales its vector down to at most a fixed norm.

    Source: McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018.
    Rule: `u <- u min(1, C / |u|)` at each site, before uploads are added.
    Values: bound 0.1 to 10, in units of the model's parameters; the median norm of an update is a good first value [M].
    Pitfalls: clipping the mean instead of each upload does not bound the contribution of a site; clipping each
    coordinate changes the direction of the vector; scaling short vectors up to the bound is normalisation, not
    clipping.
    """

    takes = (VALUES, SPARSE)

    bound: float = 1.0  # > 0, the paper's C

    def __post_init__(self) -> None:
        within("uplink.clip.bound", self.bound, 0, open_low=True)

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Clipped vectors."""
        return Encoded(shortened(u, row_lengths(u), self.bound), {})

    def reach(self, before: float, size: int, state: State) -> float:
        """The bound."""
        return min(before, self.bound)


@dataclass
class AdaptiveClip(Transform):
    """The bound on the norms follows a quantile of them; each site sends one bit and receives the bound.

    Source: Andrew et al., Differentially Private Learning with Adaptive Clipping, NeurIPS 2021, Algorithm 1.
    Rule: `u <- u min(1, C / |u|)`; `b = 1` if `|u| <= C`; `b~ = (sum (b - 1/2) + N(0, noise^2)) / m + 1/2`; `C <- C
    exp(-rate (b~ - quantile))`.
    Values: quantile 0.5, rate 0.2, noise m / 20 for m sites in a round; with noise 0 the bound is not private.
    Pitfalls: with the wrong sign the bound diverges; a linear update `C - rate (b - quantile)` can become negative; a
    bit computed after clipping is always 1.
    """

    takes = (VALUES, SPARSE)
    server_state = {"log": ""}  # log of the bound over its start
    broadcast = ("log",)
    sends = ("within",)
    scalar_bits = {"within": 1}

    bound: float = 1.0  # > 0, C of the first round
    quantile: float = 0.5  # [0, 1]; share of the sites that should stay within the bound, the paper's gamma
    rate: float = 0.2  # > 0, the paper's eta_C
    noise: float = 0.0  # >= 0, deviation of the noise on the sum of the bits, the paper's sigma_b

    def __post_init__(self) -> None:
        within("uplink.adaptiveclip.bound", self.bound, 0, open_low=True)
        within("uplink.adaptiveclip.quantile", self.quantile, 0, 1)
        within("uplink.adaptiveclip.rate", self.rate, 0, open_low=True)
        within("uplink.adaptiveclip.noise", self.noise, 0)

    def now(self, state: State) -> float:
        """The bound of this round."""
        return self.bound * math.exp(float(state["log"]))

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        """Clipped vectors, and who was within."""
        bound, norm = self.now(at.server), row_lengths(u)
        return Encoded(shortened(u, norm, bound), {}, {"within": (norm <= bound).to(u.dtype)})

    def learn(self, sent: Message, state: State, draw: Draw) -> State:
        """The paper's geometric update."""
        share = sent["within"].mean()
        if self.noise:
            share = share + self.noise * normal(draw, "bits") / len(sent["within"])
        return {"log": state["log"] - self.rate * (share - self.quantile)}

    def reach(self, before: float, size: int, state: State) -> float:
        """The bound of this round."""
        return min(before, self.now(state))


def shortened(u: Tensor, norm: Tensor, bound: float) -> Tensor:
    """Rows of these lengths, none of them longer than the bound afterwards; [C, P], [C] -> [C, P]."""
    return u * shortening(norm, bound).to(u.dtype)[:, None]


def normal(draw: Draw, name: str, round: int | None = None) -> Tensor:
    """Standard normal numbers in the shape of a draw; Box and Muller, Annals of Mathematical Statistics 1958."""
    one, two = (draw(f"{name}.{part}", round) for part in ("radius", "angle"))
    return torch.from_numpy(gaussian(one.double().numpy(), two.double().numpy())).to(one.dtype)
