"""Analyses by sums: a site answers with sums over its patients; over all sites they are those of the pooled rows.

Nothing is averaged: a likelihood is a sum over patients, so its gradient and its curvature are sums over sites.
Sums are taken in the order of the sites, in float64.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, NamedTuple

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused

Rows = Mapping[str, Floats]  # columns of one site, each with its patients on the first axis
Message = dict[str, Floats]  # what a site sends; the same shapes at every site
State = dict[str, Floats]  # what the coordinator keeps between rounds
MAX_ROUNDS = 60


class Traffic(NamedTuple):
    """What one site exchanged with the coordinator: rounds, and bytes of float64 sent and received."""

    rounds: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def then(self, other: "Traffic") -> "Traffic":
        """The sum of two, one after the other."""
        return Traffic(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class SumProtocol:
    """An analysis by sums, base of all: sites answer `statistics`, the coordinator acts on the total in `update`."""

    broadcast: ClassVar[tuple[str, ...]] = ()  # entries of the state that are sent to the sites

    @property
    def title(self) -> str:
        """What refusals call it."""
        return type(self).__name__

    def start(self) -> State:
        """State before the first round."""
        return {}

    def sent(self, state: State) -> State:
        """What is sent to the sites: the broadcast part of the state that exists so far."""
        return {name: state[name] for name in self.broadcast if name in state}

    def asked(self, state: State) -> Ints | None:
        """Numbers of the sites that are asked next, ascending; None = all."""
        return None

    def at(self, site: int) -> "SumProtocol":
        """The analysis as the site of this number carries it out: the same everywhere, unless it draws at random."""
        return self

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Sums over the patients of one site; `seen` holds the broadcast part of the state."""
        raise NotImplementedError

    def total(self, messages: Sequence[Message]) -> Message:
        """What the coordinator makes of all sites' answers, in their order: their sum."""
        return reduce(lambda one, other: {name: one[name] + part for name, part in other.items()}, messages)

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """New state from the sums over all sites, and whether the analysis is done."""
        raise NotImplementedError


class Derivatives(NamedTuple):
    """A log-likelihood and its derivatives, all over the same patients."""

    loglik: float
    gradient: Floats  # [P]
    curvature: Floats  # [P, P] negative Hessian


class Likelihood(SumProtocol):
    """An analysis that maximises a log-likelihood: its sums give the derivatives at the coefficients "beta" [P].

    Before there are any in the state, sites answer with what the start needs.
    """

    def derivatives(self, total: Message, beta: Floats) -> Derivatives:
        """At the coefficients that the sites were sent, from the sums over them."""
        raise NotImplementedError

    def units(self, rows: Rows) -> float:
        """What a site adds to the sample size of a criterion such as the BIC: its patients."""
        return float(len(rows["x"]))


@dataclass
class Within(SumProtocol):
    """Another analysis on other columns than the sites hold; a subclass says which in `statistics`."""

    inner: SumProtocol

    @property
    def title(self) -> str:
        """That of the analysis."""
        return self.inner.title

    def start(self) -> State:
        """That of the analysis."""
        return self.inner.start()

    def total(self, messages: Sequence[Message]) -> Message:
        """That of the analysis."""
        return self.inner.total(messages)

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """That of the analysis."""
        return self.inner.update(total, state)

    def sent(self, state: State) -> State:
        """That of the analysis."""
        return self.inner.sent(state)

    def asked(self, state: State) -> Ints | None:
        """Those of the analysis."""
        return self.inner.asked(state)


@dataclass
class OnColumns(Within):
    """Another analysis, on only some columns of "x"."""

    columns: Ints  # [p] of those that the sites hold

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Those of the analysis."""
        return self.inner.statistics({**rows, "x": rows["x"][:, self.columns]}, seen)


@dataclass
class Intercepted(Within, Likelihood):
    """Another analysis with a column of ones at the end of "x", and one of the sites' columns as "y"."""

    inner: Likelihood
    outcome: str

    def derivatives(self, total: Message, beta: Floats) -> Derivatives:
        """Those of the analysis."""
        return self.inner.derivatives(total, beta)

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Those of the analysis."""
        wide = np.hstack([rows["x"], np.ones((len(rows["x"]), 1))])
        return self.inner.statistics({"x": wide, "y": rows[self.outcome]}, seen)


class Exchange(NamedTuple):
    """State of an analysis after a round."""

    state: State
    done: bool
    bytes_up: tuple[int, ...]  # of each site that was asked
    bytes_down: int  # to each of them


# Answers to what sites are sent, in the order of the sites: of those with these numbers, or of all.
Ask = Callable[[State, Ints | None], list[Message]]


def exchanges(analysis: SumProtocol, ask: Ask, most: int) -> Iterator[Exchange]:
    """The rounds of an analysis, until it is done; raises Refused if `most` are not enough."""
    state = analysis.start()
    for _ in range(most):
        seen = analysis.sent(state)
        answers = ask(seen, analysis.asked(state))
        state, done = analysis.update(analysis.total(answers), state)
        yield Exchange(state, done, tuple(map(message_bytes, answers)), message_bytes(seen))
        if done:
            return
    raise Refused(
        f"{analysis.title} did not converge in {most} rounds. Five to eleven are usual, and about forty for a path of "
        "penalties, so raise rounds. If that does not help, an effect is infinite because all patients with one value "
        "had the same outcome: merge rare categories, or use more patients."
    )


def solve(analysis: SumProtocol, sites: Sequence[Rows]) -> tuple[State, Traffic]:
    """State at the end of an analysis and what one site exchanged; raises Refused if MAX_ROUNDS are not enough."""

    def ask(seen: State, asked: Ints | None) -> list[Message]:
        some = sites if asked is None else [sites[at] for at in asked]
        return [analysis.statistics(rows, seen) for rows in some]

    traffic = Traffic()
    for here in exchanges(analysis, ask, MAX_ROUNDS):
        traffic = traffic.then(Traffic(1, here.bytes_up[0], here.bytes_down))
    return here.state, traffic


def message_bytes(message: Mapping[str, Floats]) -> int:
    """Bytes of a message, 8 per number."""
    return sum(part.nbytes for part in message.values())


def pack(matrix: Floats) -> Floats:
    """Upper triangle of a symmetric matrix, [P, P] -> [P (P + 1) / 2]: half of it need not be sent."""
    return np.asarray(matrix[np.triu_indices(len(matrix))])


def unpack(triangle: Floats) -> Floats:
    """The symmetric matrix of a triangle, [P (P + 1) / 2] -> [P, P]."""
    width = int((np.sqrt(8 * len(triangle) + 1) - 1) / 2)
    matrix = np.zeros((width, width))
    rows, columns = np.triu_indices(width)
    matrix[rows, columns] = triangle
    matrix[columns, rows] = triangle
    return matrix
