"""Personalisation: what of a model stays at a site, and what a site trains for itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sim.checks import Refused, within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local, Phase, Role
from sim.tasks.layout import Layout


@dataclass
class Personal(Role):
    """One entry of the `personal` config group; as it is, every site deploys the shared model."""

    axis = "personal"

    @property
    def on(self) -> bool:
        """Whether a site keeps parameters of its own between rounds."""
        return False

    @property
    def shares(self) -> bool:
        """Whether the server's model is one that could be deployed, and so is scored."""
        return True

    def private(self, layout: Layout) -> Tensor:
        """Parameters that never leave the site; bool [P]. Refuses settings that do not fit the network."""
        return torch.zeros(layout.size, dtype=torch.bool)

    def phases(self, algorithm: Algorithm, at: Local, private: Tensor) -> Sequence[Phase]:
        """The local work of a round."""
        return (Phase(at.steps, algorithm.correction(at)),)

    def second(self, at: Local) -> Phase | None:
        """Training of the site's own model beside the shared one, from `at.start`; plain SGD steps."""
        return None

    def deployed(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """Models that the sites use; server's x [P], kept at the sites own [C, P] -> [C, P]."""
        return torch.where(private, own, x)


@dataclass
class Private(Personal):
    """Parameters whose names match a pattern stay at the site; the rest is shared."""

    pattern: str = ".*"  # regular expression for the full name of a parameter of the network

    @property
    def on(self) -> bool:
        """Yes."""
        return True

    @property
    def shares(self) -> bool:
        """No: the server's private parameters were never trained."""
        return False

    def private(self, layout: Layout) -> Tensor:
        """Marks of the matching parameters."""
        names = torch.tensor([bool(re.fullmatch(self.pattern, name)) for name in layout.names])
        return names.repeat_interleave(torch.tensor(layout.sizes))


@dataclass
class FedPer(Private):
    """Arivazhagan et al., Federated Learning with Personalization Layers, arXiv 1912.00818: heads are private.

    Empty `pattern`: the last layer, weights and bias.
    """

    pattern: str = ""

    def private(self, layout: Layout) -> Tensor:
        """Marks of the head; refuses a pattern that matches no parameter, or all."""
        names, pattern = ", ".join(layout.names), self.pattern
        if not pattern:
            pattern = re.escape(layout.names[-1].rpartition(".")[0]) + r"(\.|$).*" if "." in layout.names[-1] else ".*"
        try:
            marks = Private(pattern).private(layout)
        except re.error as error:
            raise Refused(f"personal.pattern={self.pattern!r}: no regular expression ({error}).") from None
        if not marks.any():
            raise Refused(f"personal.pattern={self.pattern!r} matches no parameter; the network has {names}.")
        if marks.all():
            raise Refused(
                f"personal.pattern={self.pattern!r} keeps all of {names} private, so that nothing is shared. Take "
                "net=mlp, whose last layer alone is the head, or algorithm=local."
            )
        return marks


@dataclass
class Ditto(Personal):
    """Li et al., Ditto: Fair and Robust Federated Learning Through Personalization, ICML 2021, Algorithm 1.

    Beside the shared model each site trains one of its own on `F_i(v) + lam/2 |v - x|^2`, x the model it downloaded,
    with as many steps, and deploys that.
    """

    lam: float = 0.1  # >= 0; the paper searches {0.05, 0.1, 0.5, 1, 2}; 0 = local training

    def __post_init__(self) -> None:
        within("personal.lam", self.lam, 0)

    @property
    def on(self) -> bool:
        """Yes."""
        return True

    def second(self, at: Local) -> Phase:
        """Steps from the site's own model, pulled towards the downloaded one."""
        return Phase(at.steps, Correction(pull=self.lam, anchor=at.x))

    def deployed(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """The sites' own models."""
        return own


PERSONAL: dict[str, type[Personal]] = {"none": Personal, "fedper": FedPer, "ditto": Ditto}
