"""Attacks of a site that knows its own upload alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.attacks.base import Faulty, replaced
from sim.methods.contract import Message


@dataclass
class SignFlip(Faulty):
    """Attackers send their vectors with the opposite sign, times `scale`; their scalars stay.

    Source: Li, Xu, Chen, Giannakis, Ling, RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed Learning
    from Heterogeneous Datasets, AAAI 2019.
    Rule: `u_i <- -scale u_i`.
    Values: `scale` 1 to 4 [M]; a large one is found by any rule that looks at norms.
    Pitfalls: the attacker trains honestly first, so that what it sends is the opposite of its own patients' interest,
    not of the federation's.
    """

    scale: float = 1.0  # > 0

    def __post_init__(self) -> None:
        super().__post_init__()
        within("attack.scale", self.scale, 0, open_low=True)

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """`u <- -scale u` of the attackers."""
        return replaced(sent, bad, lambda part: -self.scale * part)


@dataclass
class LazySite(Faulty):
    """Faulty sites do no work and send zeros: free riders, or a broken pipeline.

    Source: Fraboni, Vidal, Lorenzi, Free-rider Attacks on Model Aggregation in Federated Learning, AISTATS 2021 (the
    plain free rider).
    Rule: `u_i <- 0`: the model comes back as it was downloaded.
    Values: `sites` alone.
    Pitfalls: under a mean it slows training and moves no optimum of equal sites; Krum may choose it, for zero lies in
    the middle of small updates, and the model then stands still.
    """

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """Zeros in place of vectors."""
        return replaced(sent, bad, torch.zeros_like)


@dataclass
class LabelFlip(Faulty):
    """Faulty sites train on the opposite of the recorded outcomes, and send what comes of it.

    Source: Tolpegin, Truex, Gursoy, Liu, Data Poisoning Attacks Against Federated Learning Systems, ESORICS 2020; all
    labels reflected as in Fang, Cao, Jia, Gong, Local Model Poisoning Attacks, USENIX Security 2020.
    Rule: `y <- K - 1 - y` of K classes, so `1 - y` of a yes-or-no outcome; of a survival the event flag, with the time
    as it was; a value becomes its negative. Training rows alone.
    Values: `sites` alone.
    Pitfalls: validation and test rows stay as they were recorded, else the attack would judge itself.
    `shift.faults.label_flip` is the fault of a registry, which falsifies them too. The losses that a site reports are
    those of the flipped rows.
    """

    poisons = True

    def poison(self, y: Mapping[str, NDArray[np.generic]], classes: int) -> Mapping[str, NDArray[np.generic]]:
        """The opposite outcomes; the time of a survival stays."""
        return flipped(y, classes)


@dataclass
class Scaling(Faulty):
    """Attackers send a multiple of their upload, so that the mean becomes their model: model replacement.

    Source: Bagdasaryan, Veit, Hua, Estrin, Shmatikov, How To Backdoor Federated Learning, AISTATS 2020, equation 3.
    Rule: `u_i <- factor u_i`; with `flip` the attacker has trained on flipped outcomes (see labelflip), so that it is
    a model of the opposite that replaces the federation's.
    Values: `factor` = the sum of all weights over the attacker's replaces the model whole (the number of sites, where
    all count the same); less is harder to see.
    Pitfalls: it replaces the model only where the other sites' updates are small, near convergence, and only under a
    mean: whatever bounds norms stops it. The paper's trigger, a mark that changes the answer, is attack=backdoor.
    """

    factor: float = 10.0  # >= 1
    flip: bool = True  # whether the attacker trains on flipped outcomes

    def __post_init__(self) -> None:
        super().__post_init__()
        within("attack.factor", self.factor, 1)

    poisons = True

    def poison(self, y: Mapping[str, NDArray[np.generic]], classes: int) -> Mapping[str, NDArray[np.generic]]:
        """The opposite outcomes, if asked for."""
        return flipped(y, classes) if self.flip else y

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """`u <- factor u` of the attackers."""
        return replaced(sent, bad, lambda part: self.factor * part)


def flipped(y: Mapping[str, NDArray[np.generic]], classes: int) -> dict[str, NDArray[np.generic]]:
    """Opposite outcomes by column: classes in the reverse order, events that did not happen, negative values; [n]."""
    opposite = {
        "label": lambda column: (classes - 1 - column.astype(np.int64)).astype(column.dtype),
        "event": lambda column: ~column.astype(bool),
        "value": lambda column: -column,
        "time_days": lambda column: column,
    }
    return {name: np.asarray(opposite[name](column)) for name, column in y.items()}
