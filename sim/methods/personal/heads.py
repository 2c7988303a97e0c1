"""Networks with a shared and a private part: a body that represents the patient, and a head that predicts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sim.checks import Refused, within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local, Phase
from sim.methods.personal.base import Adapted, Private
from sim.tasks.layout import Layout


@dataclass
class FedPer(Private):
    """The head of the network is private and the body is shared; a site trains both together.

    Source: Arivazhagan et al., Federated Learning with Personalization Layers, arXiv 1912.00818 (2019).
    Rule: `(body, head_i) <- K_i steps of SGD on F_i(body, head_i)`; the server averages the bodies.
    Values: pattern empty = the last layer, weights and bias; the paper keeps the last one or two layers [M].
    Pitfalls: the head costs no bytes, neither up nor down. If the head is sent nevertheless, the method is FedAvg.
    """

    pattern: str = ""  # regular expression for the full name of a parameter of the head; empty = the last layer

    def private(self, layout: Layout) -> Tensor:
        """Marks of the head; refuses a pattern that matches no parameter, or all."""
        names, pattern = ", ".join(layout.names), self.pattern
        if not pattern:
            pattern = re.escape(layout.names[-1].rpartition(".")[0]) + r"(\.|$).*" if "." in layout.names[-1] else ".*"
        try:
            marks = Private(pattern).private(layout)
        except re.error as error:
            raise Refused(f"personal.pattern={self.pattern!r}: not a regular expression ({error}).") from None
        if not marks.any():
            raise Refused(f"personal.pattern={self.pattern!r} matches no parameter; the network has {names}.")
        if marks.all():
            raise Refused(
                f"personal.pattern={self.pattern!r} keeps all of {names} private, so nothing is shared. Use net=mlp, "
                "whose head is only its last layer, or algorithm=local."
            )
        return marks


@dataclass
class FedRep(FedPer):
    """The head is private and trained first, with a fixed body; then the body is trained with a fixed head.

    Source: Collins et al., Exploiting Shared Representations for Personalized Federated Learning, ICML 2021, Algorithm
    1.
    Rule: `head_i <- K_h steps on F_i(body, .)`, then `body_i <- K_b steps on F_i(., head_i)`; the server averages the
    bodies. Of the K_i steps of a round `K_b = max(1, K_i // (ratio + 1))`, the others train the head.
    Values: ratio 10 with local.epochs=11 is the paper's ten epochs of the head and one of the body, momentum 0.5 [M].
    Pitfalls: the order matters; joint training, as in many implementations, is FedPer. A site that takes one step per
    round trains only the body: set local.steps or local.epochs so that each takes at least `ratio + 1`.
    """

    whole_state = False

    ratio: int = 10  # >= 1, steps of the head for each step of the body

    def __post_init__(self) -> None:
        within("personal.ratio", self.ratio, 1)

    def phases(self, algorithm: Algorithm, at: Local, private: Tensor) -> Sequence[Phase]:
        """First the head, then the body, which continues with the next batches."""
        body, correction = (at.steps // (self.ratio + 1)).clamp(min=1), algorithm.correction(at)
        return (Phase(at.steps - body, correction, private), Phase(body, correction, ~private))


@dataclass
class LGFedAvg(FedPer):
    """The body, which is the site's own representation, is private, and the head is shared.

    Source: Liang et al., Think Locally, Act Globally: Federated Learning with Local and Global Representations, arXiv
    2001.01523 (2020).
    Rule: `(body_i, head) <- K_i steps of SGD on F_i(body_i, head)`; the server averages the heads.
    Values: pattern names the shared head, as in fedper; empty = the last layer.
    Pitfalls: the paper starts from a model trained by FedAvg; here training starts from the common initial model, which
    is weaker. A private head and a shared body is FedPer.
    """

    def private(self, layout: Layout) -> Tensor:
        """Marks of the body."""
        return ~super().private(layout)


class Part(Enum):
    """Parts of a network that are adapted."""

    whole = "whole"
    head = "head"
    body = "body"


@dataclass
class FedBABU(FedPer):
    """Trains the body with the head fixed at its initial value; each site adapts the model after the last round.

    Source: Oh, Kim, Yun, FedBABU: Toward Enhanced Representation for Federated Image Classification, ICLR 2022,
    Algorithm 1.
    Rule: `body_i <- K_i steps of SGD on F_i(., head_0)`, the server averages the bodies; at the end `(body_i, head_i)
    <- s steps of SGD from (body, head_0)` in the part that `tuned` names.
    Values: steps (s) the paper's 1 to 10 epochs of fine-tuning [M]; tuned whole | head | body, all compared there.
    Pitfalls: head_0 must be the same everywhere, and it is not sent; if the head is trained during the rounds, the
    method is FedPer. Scores before and after the adaptation are both recorded, as `shared` and `personal`.
    """

    steps: int = 20  # >= 0 steps of adaptation
    tuned: Part = Part.whole
    lr: float = 0.0  # >= 0 learning rate of the adaptation; 0 = that of the last round

    def __post_init__(self) -> None:
        within("personal.steps", self.steps, 0)
        within("personal.lr", self.lr, 0)

    @property
    def shares(self) -> bool:
        """Yes: the shared body and the common head are a model."""
        return True

    @property
    def adapted(self) -> Adapted:
        """After the last round."""
        return Adapted.last

    @property
    def rate(self) -> float:
        """As set."""
        return self.lr

    def received(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """The shared body with the common head, which the server never moves."""
        return x

    def phases(self, algorithm: Algorithm, at: Local, private: Tensor) -> Sequence[Phase]:
        """The body alone."""
        return (Phase(at.steps, algorithm.correction(at), ~private),)

    def adaptation(self, at: Local, private: Tensor) -> Phase:
        """The same number of steps at every site."""
        moves = {Part.whole: None, Part.head: private, Part.body: ~private}[self.tuned]
        return Phase(torch.full_like(at.steps, self.steps), Correction(), moves)

    def deployed(self, x: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """The adapted models."""
        return own
