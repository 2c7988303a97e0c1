"""Whose row is whose: the patients of a table."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Ints, Words

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Patients:
    """Patients of a table, N of them, in the order of their hash, so that the order of the rows does not matter.

    word   uint64 [R]: hash of the patient of every row
    first  int [N]: first row of every patient
    back   int [R]: patient of every row
    """

    word: Words
    first: Ints
    back: Ints

    @classmethod
    def of(cls, word: Words) -> "Patients":
        """Patients of rows, by the hash of their number [R]."""
        _, first, back = np.unique(word, return_index=True, return_inverse=True)
        return cls(word, first, back)

    def highest(self, values: NDArray[Number]) -> NDArray[Number]:
        """Highest of the values of every patient's rows; [R] -> [N]."""
        found = values[self.first]
        np.maximum.at(found, self.back, values)
        return found

    @property
    def order(self) -> Ints:
        """Rows by patient; a patient's rows in the order of the table; [R]."""
        return self.first if len(self.first) == len(self.back) else np.argsort(self.back, kind="stable")
