"""FedAvg, and the four places where other methods depart from it.

McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

State = dict[str, Tensor]  # name -> [P] at the server, [C, P] at the sites
Message = dict[str, Tensor]  # name -> vectors [C, P] or scalars [C]


class Weighting(Enum):
    """What the mean over sites, and so the objective, weighs a site by."""

    rows = "rows"  # its training rows: every patient counts the same
    uniform = "uniform"  # every site counts the same


@dataclass(frozen=True)
class Local:
    """What C sites know while they train together."""

    x: Tensor  # [C, P] model each site downloaded
    server: State  # name -> [P], broadcast with the model
    site: State  # name -> [C, P], kept at each site since its last round
    rows: Tensor  # [C] training rows
    steps: Tensor  # [C] local steps K_i
    norm: Tensor  # [C] |a_i|_1 of Wang et al. 2020: what the K_i steps add up to; K_i for plain SGD, more with momentum
    lr: float


class Correction(NamedTuple):
    """Local step w -= lr * (g + pull * (w - x) + drift), constant during a round."""

    pull: float = 0.0
    drift: Tensor | None = None  # [C, P]


@dataclass
class Method:
    """One entry of the `algorithm` config group: a federated algorithm, or a reference to judge them by."""

    model: ClassVar[str] = "shared"  # whose model its numbers are about

    @property
    def trains_as(self) -> "Algorithm":
        """What its sites do between two messages; a reference that does not train asks for plain FedAvg."""
        return Algorithm()


@dataclass
class Algorithm(Method):
    """FedAvg: sites train alone from the server's model, the server moves by their mean."""

    site_state: ClassVar[tuple[str, ...]] = ()  # each [S, P], zero at the start
    server_state: ClassVar[tuple[str, ...]] = ()  # each [P], zero at the start
    broadcast: ClassVar[tuple[str, ...]] = ()  # those of server_state that travel down, and cost bytes
    start: ClassVar[str] = ""  # the site_state that local steps start from, in place of the server's model

    weighting: Weighting = Weighting.rows

    @property
    def trains_as(self) -> "Algorithm":
        """Itself."""
        return self

    def correction(self, at: Local) -> Correction:
        """What is added to every gradient of the round."""
        return Correction()

    def direction(self, g: Tensor, w: Tensor, x: Tensor, c: Correction) -> Tensor:
        """Direction of one local step; [C, P]. Methods whose step is not affine in w override this."""
        if c.pull:
            g = g + c.pull * (w - x)
        return g if c.drift is None else g + c.drift

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """What each site sends, and what it keeps, after its local steps."""
        return {"delta": w - at.x}, {}

    def weights(self, rows: Tensor) -> Tensor:
        """Unnormalised weight of each site in the mean; [S] -> [S]."""
        return rows if self.weighting is Weighting.rows else torch.ones_like(rows)

    def server(self, mean: Message, state: State, share: float) -> tuple[Tensor, State]:
        """Step of the server model and new server state, from the mean message.

        share: weight of the sites that trained over the weight of all sites (M/S when uniform).
        """
        return mean["delta"], {}
