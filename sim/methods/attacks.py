"""Attacks: what faulty sites send in place of their uploads. Faults in the data are shifts, not attacks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.contract import Message, Role
from sim.random import key, scatter


@dataclass
class Attack(Role):
    """One entry of the `attack` config group; as it is, every site is honest."""

    axis = "attack"

    @property
    def on(self) -> bool:
        """Whether any site attacks."""
        return False

    def faulty(self, keys: NDArray[np.uint64], seed: int) -> NDArray[np.bool_]:
        """Which sites attack, by their keys; the same in every round; [S] -> bool [S]."""
        return np.zeros(len(keys), dtype=bool)

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """The uploads as they arrive; `bad` bool [M] marks the attackers; each [M, P] or [M]."""
        return sent


@dataclass
class SignFlip(Attack):
    """Attackers send their vectors with the opposite sign, times `scale`; their scalars stay."""

    sites: int = 1  # >= 0 attackers, drawn by key; 0 = none
    scale: float = 1.0  # > 0

    def __post_init__(self) -> None:
        within("attack.sites", self.sites, 0)
        within("attack.scale", self.scale, 0, open_low=True)

    @property
    def on(self) -> bool:
        """Whether any site attacks."""
        return self.sites > 0

    def faulty(self, keys: NDArray[np.uint64], seed: int) -> NDArray[np.bool_]:
        """The sites with the smallest words of a draw."""
        order = np.argsort(scatter(key(seed, "attack"), keys), kind="stable")
        return np.asarray(np.isin(np.arange(len(keys)), order[: self.sites]))

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """`u <- -scale u` of the attackers."""
        return {
            name: part.where(~bad[:, None], -self.scale * part) if part.dim() == 2 else part
            for name, part in sent.items()
        }


ATTACKS: dict[str, type[Attack]] = {"none": Attack, "signflip": SignFlip}
