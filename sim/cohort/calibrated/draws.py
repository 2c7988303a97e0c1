"""Draws: every question about a patient is answered by a uniform of its own, found by key and not by order.

A patient is a row of a centre. The uniform for a question is number `row` of the SplitMix64 sequence that starts at
(seed, question, centre). So a patient does not change when the cohort grows, when centres join, when rows are drawn in
other blocks or by other processes, or when a new question is asked; a question that is not asked costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Words
from sim.random import counted, inside, key, scatter


class Ask(StrEnum):
    """Questions about a patient; the word is part of the key, so a word is never given to another question."""

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
    GENES = "genes"  # of the sample that stands for the population; patients have a number a gene


Uniforms = Callable[[Ask], Floats]  # question -> one number in (0, 1) a patient, [n]


@dataclass(frozen=True)
class Draws:
    """Uniforms of n patients of a cohort; called with a question."""

    starts: Mapping[Ask, Words]  # [S] where each centre's sequence starts
    centre: NDArray[np.int64]  # [n]
    row: NDArray[np.int64]  # [n] from 0 within the centre

    def __call__(self, ask: Ask) -> Floats:
        """One number in (0, 1) a patient, [n]."""
        return inside(counted(self.starts[ask][self.centre], self.row))


def starts(seed: int, centres: int) -> Mapping[Ask, Words]:
    """Where the sequences of every question and centre start; question -> [S]."""
    numbers = np.arange(centres)
    return {ask: scatter(key(seed, "calibrated", ask), numbers) for ask in Ask}


def even(rows: int) -> Uniforms:
    """Uniforms of a sample that stands for the population: as even as numbers get, the same for everyone.

    Row i of question d is the fractional part of i g^-d, where g^33 = g + 1: Roberts' R sequence in 32 dimensions, a
    Kronecker sequence of the generalised golden ratio. Means over 16,384 rows are off by .0005 at most.
    """
    place, golden = {ask: float(number) for number, ask in enumerate(Ask, start=1)}, 1.0
    for _ in range(64):
        golden = (1 + golden) ** (1 / 33)

    def uniforms(ask: Ask) -> Floats:
        return np.asarray((0.5 + np.arange(1, rows + 1) * golden ** -place[ask]) % 1.0)

    return uniforms
