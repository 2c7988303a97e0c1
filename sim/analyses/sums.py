"""Exact analyses: a site answers with sums over its patients, the sums of all sites are what pooled rows would give.

Nothing is averaged: a likelihood is a sum over patients, so its gradient and its curvature are sums over sites.
Sums are taken in the order of the sites, in float64.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from sim.arrays import Floats
from sim.checks import Refused

Rows = Mapping[str, Floats]  # columns of one site, each with its patients on the first axis
Message = dict[str, Floats]  # what a site sends; the same shapes at every site
State = dict[str, Floats]  # what the coordinator keeps
MOST_ROUNDS = 60


class Wire(NamedTuple):
    """What crossed the wire: rounds, and bytes of float64 that one site sent and received."""

    rounds: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def then(self, other: "Wire") -> "Wire":
        """Both, one after the other."""
        return Wire(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Exact:
    """An analysis by sums: sites answer `statistics`, the coordinator acts on the total in `update`."""

    broadcast: ClassVar[tuple[str, ...]] = ()  # names of the state that travel to the sites

    def start(self) -> State:
        """State before the first round."""
        return {}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Sums over the patients of one site; `seen` holds the broadcast part of the state."""
        raise NotImplementedError

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """New state from the sums over all sites, and whether the analysis is done."""
        raise NotImplementedError


def solve(analysis: Exact, sites: Sequence[Rows]) -> tuple[State, Wire]:
    """Run an analysis to its end; raises Refused if it does not end within MOST_ROUNDS."""
    state, wire = analysis.start(), Wire()
    for _ in range(MOST_ROUNDS):
        seen = {name: state[name] for name in analysis.broadcast}
        total: Message = {}
        for rows in sites:
            message = analysis.statistics(rows, seen)
            total = {name: total[name] + part for name, part in message.items()} if total else message
        wire = wire.then(Wire(1, size(total), size(seen)))
        state, done = analysis.update(total, state)
        if done:
            return state, wire
    raise Refused(
        f"{type(analysis).__name__} did not settle in {MOST_ROUNDS} rounds: some effect is without limit, because the "
        "patients with it all had one outcome. Merge rare categories, or take more patients."
    )


def size(message: Mapping[str, Floats]) -> int:
    """Bytes of a message; 8 a number."""
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
