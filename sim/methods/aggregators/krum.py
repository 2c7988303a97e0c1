"""Krum and Multi-Krum: select the uploads nearest to the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator, Combined
from sim.methods.contract import Draw, Message, State
from sim.methods.distances import refuse_many, squared_distances, vectors


@dataclass
class Krum(Aggregator):
    """Uses the one upload that is nearest to the others and discards all others.

    Source: Blanchard, El Mhamdi, Guerraoui, Stainer, Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent, NIPS 2017.
    Rule: `score_i = sum over the M - f - 2 nearest others j of |u_i - u_j|^2`; the upload with the least score, with
    all parts of its message. Of equal scores, the one nearer to all.
    Values: `f` is the number of faulty sites that are tolerated, `M >= 2 f + 3`; with 6 to 12 hospitals 1 to 4.
    Pitfalls: an honest hospital that differs from the rest looks like an attacker and is never used: `run.json` counts
    in how many rounds each was left out. Distances must be over the whole message, not layer by layer. An update takes
    `M^2 P / 2` multiply-adds and `M^2` distances, while the training of a site on n rows takes about `3 n P`: with M
    above 6 n the rule is more work than the training.
    """

    equal = True

    f: int = 1  # >= 0 attackers that are tolerated

    def __post_init__(self) -> None:
        within("aggregator.f", self.f, 0)

    @property
    def least(self) -> int:
        """2 f + 3 uploads, for which the paper's proof holds."""
        return 2 * self.f + 3

    def fits(self, uploads: int, parameters: int = 0) -> None:
        """All pairs are compared."""
        refuse_many(f"{self.axis}={type(self).__name__.lower()}", uploads, parameters)

    def combine(self, sent: Message, p: Tensor) -> Message:
        """The message of those chosen."""
        return self.blend(sent, self.chosen(sent))

    def aggregate(self, sent: Message, p: Tensor, state: State, draw: Draw) -> Combined:
        """The message of those chosen; all other sites are left out."""
        chosen = self.chosen(sent)
        return Combined(self.blend(sent, chosen), used(chosen, len(p)))

    def chosen(self, sent: Message) -> Tensor:
        """Numbers of the uploads that are taken, ascending."""
        return torch.from_numpy(self.ranked(sent)[:1])

    def blend(self, sent: Message, chosen: Tensor) -> Message:
        """One message from those that were chosen: their mean."""
        return taken(sent, chosen)

    def ranked(self, sent: Message) -> NDArray[np.int64]:
        """The uploads from the least score to the largest, over all vectors of the message end to end; [M]."""
        distance = squared_distances(vectors(sent))
        return ranked(scores(distance, self.f), distance)


@dataclass
class MultiKrum(Krum):
    """The mean of the uploads nearest to the others. All sites have the same weight.

    Source: Blanchard, El Mhamdi, Guerraoui, Stainer, Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent, NIPS 2017, section on Multi-Krum.
    Rule: Krum's scores, `score_i = sum over the M - f - 2 nearest others j of |u_i - u_j|^2`; the mean of the `q`
    uploads with the smallest scores.
    Values: `f` as for Krum; `q` = M - f in the paper's experiments [M]; q = 1 is Krum, q = M the mean over sites.
    Pitfalls: with q > M - f an attacker is among those averaged. Scores are not computed again once one is chosen,
    which is what Bulyan does.
    """

    q: int = 0  # >= 0 uploads that are averaged; 0 = M - f

    def __post_init__(self) -> None:
        super().__post_init__()
        within("aggregator.q", self.q, 0)

    @property
    def least(self) -> int:
        """2 f + 3, and as many as are averaged."""
        return max(2 * self.f + 3, self.q)

    def chosen(self, sent: Message) -> Tensor:
        """The q uploads of least score."""
        order = self.ranked(sent)
        return torch.from_numpy(np.sort(order[: self.q or len(order) - self.f]))


def scores(distance: NDArray[np.float64], f: int) -> NDArray[np.float64]:
    """Sum of the squared distances to the nearest M - f - 2 others, or to one at least; [M, M] -> [M]."""
    others = distance.copy()
    np.fill_diagonal(others, np.inf)
    near = min(max(len(distance) - f - 2, 1), len(distance) - 1)
    if not near:
        return np.zeros(len(distance))
    return np.asarray(np.partition(others, near - 1, axis=1)[:, :near].sum(1))


def ranked(score: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Uploads from the least score to the largest; of equal ones, the one nearer to all comes first; [M]."""
    return np.lexsort((distance.sum(1), score))


def taken(sent: Message, chosen: Tensor) -> Message:
    """Mean of the chosen uploads, in double precision; one alone is taken as it is."""
    if len(chosen) == 1:
        return {name: part[chosen[0]] for name, part in sent.items()}
    return {name: part[chosen].double().mean(0).to(part.dtype) for name, part in sent.items()}


def used(chosen: Tensor, uploads: int) -> Tensor:
    """1 for the uploads that were chosen, 0 for those that were left out; [M]."""
    return torch.zeros(uploads, dtype=torch.float64).index_fill(0, chosen, 1.0)
