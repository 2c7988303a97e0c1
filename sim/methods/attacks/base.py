"""Attacks: what faulty sites send instead of their uploads, or train on. Recording errors are shifts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.contract import Message, Role
from sim.random import key, scatter


@dataclass
class Attack(Role):
    """No attack: every site is honest.

    Source: none.
    Rule: uploads arrive as they were sent.
    Values: none.
    Pitfalls: none.
    """

    axis = "attack"

    poisons: ClassVar[bool] = False  # whether attackers train on outcomes that are not those recorded

    @property
    def on(self) -> bool:
        """Whether any site attacks."""
        return False

    def fits(self, members: int, parameters: int = 0) -> None:
        """Refuse a federation, with a model of so many parameters (0 = not known), that the attack cannot handle."""

    def suits(self, features: Sequence[str], classes: int) -> None:
        """Refuse features, or a task of so many classes (0 = it has none), for which the attack cannot be made."""

    def faulty(self, keys: NDArray[np.uint64], seed: int) -> NDArray[np.bool_]:
        """Which sites attack, by their keys; the same in every round; [S] -> bool [S]."""
        return np.zeros(len(keys), dtype=bool)

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """The uploads as they arrive; `bad` bool [M] marks the attackers; each [M, P] or [M]."""
        return sent

    def poison(self, y: Mapping[str, NDArray[np.generic]], classes: int) -> Mapping[str, NDArray[np.generic]]:
        """Columns of the outcome that attackers train on, from those of their training rows; each [n]."""
        return y

    def told(self, uploads: int, bad: int) -> str:
        """A note that is needed to interpret a result, for an update of so many uploads; empty = none."""
        return ""


@dataclass
class Faulty(Attack):
    """Base class of attacks: `sites` attackers, drawn by key. An attack overrides a hook."""

    sites: int = 1  # >= 0 attackers, drawn by key; 0 = none

    def __post_init__(self) -> None:
        within("attack.sites", self.sites, 0)

    @property
    def on(self) -> bool:
        """Whether any site attacks."""
        return self.sites > 0

    def faulty(self, keys: NDArray[np.uint64], seed: int) -> NDArray[np.bool_]:
        """The sites with the smallest words of a draw."""
        order = np.argsort(scatter(key(seed, "attack"), keys), kind="stable")
        return np.asarray(np.isin(np.arange(len(keys)), order[: self.sites]))


def replaced(sent: Message, bad: Tensor, vector: Callable[[Tensor], Tensor]) -> Message:
    """The message with the attackers' vectors replaced by what `vector` makes of all uploads, [M, P] -> [M, P] or [P].

    Scalars stay as they are.
    """
    return {
        name: torch.where(bad[:, None], vector(part), part) if part.dim() == 2 else part for name, part in sent.items()
    }


def honest(part: Tensor, bad: Tensor) -> Tensor:
    """The uploads of honest sites, in double precision; all of them where nobody in the update is honest; [H, P]."""
    return (part if bool(bad.all()) else part[~bad]).double()
