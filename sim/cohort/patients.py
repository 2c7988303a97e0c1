"""Patients of a table: which rows belong to the same one."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Ints, Words

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Patients:
    """The N patients of a table, ordered by hash, so that the order of the rows does not matter.

    word     uint64 [R]: hash of the patient of every row
    first    int [N]: first row of every patient
    inverse  int [R]: patient of every row
    """

    word: Words
    first: Ints
    inverse: Ints

    @classmethod
    def of(cls, word: Words) -> "Patients":
        """Patients of rows, from the hash of each row's patient [R]."""
        _, first, back = np.unique(word, return_index=True, return_inverse=True)
        return cls(word, first, back)

    def highest(self, values: NDArray[Number]) -> NDArray[Number]:
        """Maximum over every patient's rows; [R] -> [N]."""
        found = values[self.first]
        np.maximum.at(found, self.inverse, values)
        return found

    @property
    def order(self) -> Ints:
        """Row numbers sorted by patient, within a patient in the order of the table; int [R]."""
        return self.first if len(self.first) == len(self.inverse) else np.argsort(self.inverse, kind="stable")
