"""Base class of personalisation: private parameters, local work, and the model that a site deploys."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Phase, Role
from sim.tasks.layout import Layout


class Adapted(Enum):
    """When sites adapt the shared model to their own rows."""

    last = "last"  # after the last round
    scored = "scored"  # whenever models are evaluated, each time from the shared model


class Unseen(Enum):
    """What stands at a site that never trained in the place of parameters that sites keep to themselves."""

    average = "average"  # their mean over the sites that trained
    own = "own"  # that mean, but in batch norms the statistics of the site's own rows, without their outcomes


@dataclass
class Personal(Role):
    """Every site deploys the shared model: no personalisation.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017.
    Rule: `v_i = x` for every site i.
    Values: none.
    Pitfalls: compare a personal method with this one and with algorithm=local, with equal tuning.
    """

    axis = "personal"

    persists: ClassVar[bool] = False  # whether local steps start from the site's own model, not from the downloaded one
    plain: ClassVar[bool] = False  # whether it is only defined with FedAvg's local steps and mean
    whole_state: ClassVar[bool] = True  # whether one optimiser's state, kept between rounds, serves all its local steps

    @property
    def on(self) -> bool:
        """Whether a site keeps parameters of its own between rounds."""
        return False

    @property
    def shares(self) -> bool:
        """Whether the server's model could be deployed and is therefore evaluated."""
        return True

    @property
    def adapted(self) -> Adapted | None:
        """When sites take the steps of `adaptation`, if any; until then they deploy the shared model."""
        return None

    @property
    def rate(self) -> float:
        """Learning rate of the adaptation; 0 = that of the round."""
        return 0.0

    @property
    def newcomer(self) -> Unseen | None:
        """Where a site that never trained has its model from; None = it has none, but for a shared one."""
        return None

    def private(self, layout: Layout) -> Tensor:
        """Parameters that never leave the site; bool [P]. Refuses settings that do not fit the network."""
        return torch.zeros(layout.size, dtype=torch.bool)

    def received(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """Models with which sites start a round, from the downloaded x and the sites' own models; -> [C, P]."""
        return torch.where(private, own, x)

    def phases(self, algorithm: Algorithm, at: Local, private: Tensor) -> Sequence[Phase]:
        """The local work of a round."""
        return (Phase(at.steps, algorithm.correction(at)),)

    def second(self, at: Local) -> Phase | None:
        """Training of the site's own model, in addition to the shared one, from `at.start`; steps as in FedAvg."""
        return None

    def adaptation(self, at: Local, private: Tensor) -> Phase | None:
        """Steps from the received model to the site's own, see `adapted`; nothing is sent."""
        return None

    def deployed(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """Models that the sites use, from the server's x [P] and the sites' own models [C, P]; -> [C, P]."""
        return torch.where(private, own, x)


@dataclass
class Parted(Personal):
    """Some parameters, those of `private`, stay at the site; the rest is shared."""

    @property
    def on(self) -> bool:
        """Yes."""
        return True

    @property
    def shares(self) -> bool:
        """No: the server's private parameters were never trained."""
        return False


@dataclass
class Private(Parted):
    """Parameters whose names match a pattern stay at the site; the rest is shared."""

    pattern: str = ".*"  # regular expression for the full name of a parameter of the network

    def private(self, layout: Layout) -> Tensor:
        """Marks of the matching parameters."""
        names = torch.tensor([bool(re.fullmatch(self.pattern, name)) for name in layout.names])
        return names.repeat_interleave(torch.tensor(layout.sizes))


@dataclass
class OwnModel(Personal):
    """Every site deploys its own model, in addition to the shared one."""

    @property
    def on(self) -> bool:
        """Yes."""
        return True

    def deployed(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """The sites' own models."""
        return own
