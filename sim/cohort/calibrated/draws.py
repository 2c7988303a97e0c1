"""Draws: every random variable of a patient has a uniform of its own, found by key and not by order.

A patient is a row of a centre. The uniform of a variable is number `row` of the SplitMix64 sequence (Steele, Lea and
Flood, OOPSLA 2014) that starts at (seed, variable, centre). So a patient does not change when the cohort grows, when
centres join, when rows are drawn in other blocks or by other processes, or when a variable is added; a variable that is
not used costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Words
from sim.random import counted, inside, key, scatter


class Ask(StrEnum):
    """Random variables of a patient. The words, and the name of this class, are part of the key: never change them."""

    CANCER = "cancer"
    AGE = "age"
    MALE = "male"
    RACE = "race"
    INSURANCE = "insurance"
    STAGE = "stage"
    FRAIL = "frail"
    MARKER_1 = "marker 1"
    MARKER_2 = "marker 2"
    SCORE = "score"
    TREATED = "treated"
    RESPONSE = "response"
    CANCER_DEATH = "cancer death"
    OTHER_DEATH = "other death"
    ENTRY = "entry"
    LOSS = "loss"
    UPSTAGE = "upstage"
    ASSAY_1 = "assay 1"
    ASSAY_2 = "assay 2"
    ASSAY_SCORE = "assay score"
    MISSING = "missing"
    MISSING_1 = "missing marker 1"
    MISSING_2 = "missing marker 2"
    GENES = "genes"  # of the sample that represents the population; real rows have one number per gene


Uniforms = Callable[[Ask], Floats]  # variable -> one number in (0, 1) per patient, [n]


@dataclass(frozen=True)
class Draws:
    """Uniforms of n patients of a cohort; called with a variable."""

    starts: Mapping[Ask, Words]  # [S] where each centre's sequence starts
    centre: NDArray[np.int64]  # [n]
    row: NDArray[np.int64]  # [n] from 0 within the centre

    def __call__(self, ask: Ask) -> Floats:
        """One number in (0, 1) per patient, [n]."""
        return inside(counted(self.starts[ask][self.centre], self.row))


def sequence_starts(seed: int, centres: int) -> Mapping[Ask, Words]:
    """Start of the sequence of every variable and centre; variable -> uint64 [S]."""
    numbers = np.arange(centres)
    return {ask: scatter(key(seed, "calibrated", ask), numbers) for ask in Ask}


def quasi_random(rows: int) -> Uniforms:
    """Uniforms of a sample that represents the population: a low-discrepancy sequence without a seed.

    Row i of variable d is the fractional part of `i g^-d`, where `g^33 = g + 1`: Roberts' R sequence (2018) in 32
    dimensions, a Kronecker sequence of the generalised golden ratio. Means over 16,384 rows are off by .0005 at most.
    """
    place, golden = {ask: float(number) for number, ask in enumerate(Ask, start=1)}, 1.0
    for _ in range(64):
        golden = (1 + golden) ** (1 / 33)

    def uniforms(ask: Ask) -> Floats:
        return np.asarray((0.5 + np.arange(1, rows + 1) * golden ** -place[ask]) % 1.0)

    return uniforms
