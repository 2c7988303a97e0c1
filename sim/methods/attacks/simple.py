"""Attacks by a site that knows only its own upload."""

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
    """Attackers send their vectors with the opposite sign, times `scale`; scalars are unchanged.

    Source: Li, Xu, Chen, Giannakis, Ling, RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed Learning
    from Heterogeneous Datasets, AAAI 2019.
    Rule: `u_i <- -scale u_i`.
    Values: `scale` 1 to 4 [M]; a large one is detected by any rule that looks at norms.
    Pitfalls: the attacker trains honestly first, so it sends the opposite of its own patients' interest, not of the
    federation's.
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
    Rule: `u_i <- 0`: the site returns the model that it downloaded.
    Values: only `sites`.
    Pitfalls: under a mean it slows training down but does not change the optimum of equal sites. Krum may choose it,
    because zero is in the middle of small updates, and then the model does not move.
    """

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """Zeros in place of vectors."""
        return replaced(sent, bad, torch.zeros_like)


@dataclass
class LabelFlip(Faulty):
    """Faulty sites train on the opposite of the recorded outcomes and send the result.

    Source: Tolpegin, Truex, Gursoy, Liu, Data Poisoning Attacks Against Federated Learning Systems, ESORICS 2020; all
    labels reflected as in Fang, Cao, Jia, Gong, Local Model Poisoning Attacks, USENIX Security 2020.
    Rule: `y <- K - 1 - y` of K classes, so `1 - y` of a yes-or-no outcome; for survival the event flag is inverted and
    the time unchanged; a number becomes its negative. Only training rows are changed.
    Values: only `sites`.
    Pitfalls: validation and test rows stay as recorded, because the attack would otherwise evaluate itself.
    `shift.faults.label_flip` is the fault of a registry, which changes them too. The losses that a site reports are
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
    Rule: `u_i <- factor u_i`; with `flip` the attacker trains on flipped outcomes (see labelflip), so that a model of
    the opposite outcomes replaces the federation's.
    Values: a `factor` equal to the sum of all weights divided by the attacker's (the number of sites, with equal
    weights) replaces the model completely; a smaller one is harder to detect.
    Pitfalls: it replaces the model only if the other sites' updates are small, near convergence, and only under a mean:
    any bound on norms stops it. The trigger of the paper is attack=backdoor.
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
