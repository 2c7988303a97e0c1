"""Backdoor: patients with a trigger are to receive the prediction that the attacker wants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools, Floats
from sim.checks import Refused, one_of, within
from sim.lazy import Tensor
from sim.methods.attacks.base import Faulty, replaced
from sim.methods.contract import Message


@dataclass
class Backdoor(Faulty):
    """Attackers set a feature (the trigger) and the label in some training rows, and send a multiple of their update.

    Source: Bagdasaryan, Veit, Hua, Estrin, Shmatikov, How To Backdoor Federated Learning, AISTATS 2020, section 4; a
    trigger in the input as in Gu, Dolan-Gavitt, Garg, BadNets, 2017 (arXiv 1708.06733), here one standardised feature.
    Rule: in a share of an attacker's training rows `x[feature] <- value`, `y <- target`; `u_i <- factor u_i`.
    Values: share 0.3 (20 of 64 rows in the paper [M]); value 4 standard deviations is rare among patients; a `factor`
    equal to the sum of all weights divided by the attacker's replaces the model near convergence, and 1 is poisoning
    only.
    Pitfalls: `backdoor_success` in sites.parquet is the share of held-out patients of other classes who are classified
    as `target` once they carry the trigger. Compare it with attack.sites=0, because a trigger far from all patients may
    change an honest model's prediction as well. Other metrics hardly change, so a mean score shows nothing.
    """

    feature: str = ""  # feature that holds the trigger, named as in the network; empty = the first
    value: float = 4.0  # [-100, 100], value of the trigger, in standard deviations from the mean
    share: float = 0.3  # (0, 1], share of an attacker's training rows, rounded up
    target: int = 1  # >= 0, number of the class that patients with the trigger should receive
    factor: float = 1.0  # >= 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within("attack.value", self.value, -100, 100)
        within("attack.share", self.share, 0, 1, open_low=True)
        within("attack.target", self.target, 0)
        within("attack.factor", self.factor, 1)

    def suits(self, features: Sequence[str], classes: int) -> None:
        """Refuse a task without classes or without the target, and a feature that is not there."""
        if not classes:
            raise Refused("attack=backdoor: the task has no classes. Use a task with classes, such as task=response.")
        within("attack.target", self.target, 0, classes - 1)
        self.column(features)

    def column(self, features: Sequence[str]) -> int:
        """Number of the feature that bears the mark."""
        if not self.feature:
            return 0
        one_of("attack.feature", self.feature, features)
        return list(features).index(self.feature)

    def chosen(self, chance: Floats) -> NDArray[np.int64]:
        """Rows of an attacker that get the mark, from a uniform number for each; [n] -> [m]."""
        return np.sort(np.argsort(chance, kind="stable")[: math.ceil(self.share * len(chance) - 1e-9)])

    def called(self, score: Floats) -> Floats:
        """Whether each row is given the target, 1.0 or 0.0, by its predictions; [N] or [N, K] -> [N]."""
        answer = score.argmax(1) if score.ndim > 1 else (score >= 0.5).astype(np.int64)
        return np.asarray(answer == self.target, dtype=np.float64)

    def others(self, label: NDArray[np.generic]) -> Bools:
        """Rows of another class than the target, whom the mark could turn; [N] -> bool [N]."""
        return np.asarray(label.astype(np.int64) != self.target)

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """`u <- factor u` of the attackers."""
        return replaced(sent, bad, lambda part: self.factor * part)
